#include <algorithm>

#include "docker_test.hpp"
#include "support/byte_relay.hpp"
#include "support/docker_machine.hpp"
#include "support/packed_image.hpp"

/// Images out of a real engine and into it, without a registry.

namespace k4t::docker {
namespace {

using k4t::testing::ByteRelay;
using k4t::testing::config_of;
using k4t::testing::digest_of;
using k4t::testing::layer_of;
using k4t::testing::Scratch;
using runtime::Extent;
using runtime::Image;
using runtime::LoadLayer;
using runtime::LoadRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::size_t base_bytes = 3'000'000;
constexpr std::size_t top_bytes = 200'000;
/// Headers, padding, manifest and configuration.
constexpr std::size_t besides_bytes = 6'000;

/// A file with the pieces of an image one after another, and how to load it.
struct Pieces {
  explicit Pieces(const std::vector<std::string>& layers, std::vector<std::string> names = {"k4t-test/pushed:1"}) {
    std::string bytes = "something else first";
    const auto put = [&bytes](const std::string& piece) {
      const Extent at{bytes.size(), piece.size()};
      bytes += piece;
      return at;
    };
    request.names = std::move(names);
    request.config = put(config_of(layers));
    id = digest_of(config_of(layers));
    for (const auto& layer : layers) request.layers.push_back({digest_of(layer), put(layer), false});
    request.file = scratch.write("pieces", bytes).string();
  }
  Scratch scratch;
  LoadRequest request;
  std::string id;
};

/// Content that nobody can compress, other for each seed.
std::string noise(std::size_t bytes, unsigned seed) {
  std::string text(bytes, '\0');
  for (auto& byte : text) byte = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24U);
  return text;
}

class Images : public DockerTest {
 protected:
  static void SetUpTestSuite() {
    if (!k4t::testing::DockerEngine::missing().empty()) return;
    base = layer_of("base", noise(base_bytes, 1));
    top = layer_of("top", noise(top_bytes, 2));
  }
  void TearDown() override {
    for (const char* name : {"k4t-test/pushed:1", "k4t-test/pushed:2"}) {
      docker(std::string("/images/") + name + "?force=1", "DELETE", nullptr);
    }
    DockerTest::TearDown();
  }

  std::optional<Image> find(const std::string& id) {
    const auto listed = call<method::ListImages>({true});
    EXPECT_TRUE(listed.ok()) << listed.error().message;
    const auto found =
        std::find_if(listed->images.begin(), listed->images.end(), [&](const Image& one) { return one.id == id; });
    return found == listed->images.end() ? std::nullopt : std::optional(*found);
  }

  Result<runtime::LoadReply> load(const LoadRequest& request, CallSink* sink = nullptr) {
    return call<method::LoadImage>(request, sink);
  }

  static inline std::string base;
  static inline std::string top;
  std::unique_ptr<ByteRelay> relay_;
};

TEST_F(Images, AreLoadedFromPiecesOfAFileAndListed) {
  const Pieces pieces({base, top}, {"k4t-test/pushed:1", "k4t-test/pushed:2"});
  OutputSink sink;
  const auto loaded = load(pieces.request, &sink);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message << loaded.error().detail;
  EXPECT_GE(loaded->sent_bytes, base_bytes + top_bytes);
  EXPECT_GT(sink.progresses, 2);
  const auto image = find(pieces.id);
  ASSERT_TRUE(image);
  EXPECT_THAT(image->names, ElementsAre("k4t-test/pushed:1", "k4t-test/pushed:2"));
  EXPECT_THAT(image->layers, ElementsAre(digest_of(base), digest_of(top)));
  EXPECT_GE(image->size_bytes, base_bytes + top_bytes);
  EXPECT_TRUE(load(pieces.request).ok()) << "twice is once";
  EXPECT_THAT(call<method::ListImages>({false})->images.front().layers, ElementsAre());
}

TEST_F(Images, OnlyTheNewLayerTravelsWhereTheOtherIsLeftOut) {
  relay_ = std::make_unique<ByteRelay>(engine().socket());
  driver_ = open({{"host", "unix://" + relay_->socket().string()}});
  callee_ = std::make_unique<DirectCallee<runtime::Kind>>(*driver_);
  ASSERT_TRUE(load(Pieces({base}).request).ok());
  EXPECT_GE(relay_->take_sent(), base_bytes);
  Pieces pieces({base, top}, {"k4t-test/pushed:2"});
  pieces.request.layers.front().left_out = true;
  const auto loaded = load(pieces.request);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message << loaded.error().detail;
  EXPECT_GE(loaded->sent_bytes, top.size());
  EXPECT_LE(loaded->sent_bytes, top.size() + besides_bytes);
  const auto counted = relay_->take_sent();
  EXPECT_GE(counted, loaded->sent_bytes);
  EXPECT_LE(counted, loaded->sent_bytes + 2000) << "and the request's own head";
  EXPECT_THAT(find(pieces.id)->layers, ElementsAre(digest_of(base), digest_of(top)));
  InstanceSpec spec = script("1", "");
  spec.image = "k4t-test/pushed:2";
  ASSERT_TRUE(call<method::Create>(spec).ok());
  for (const char* file : {"/base", "/top"}) {
    EXPECT_EQ(docker("/containers/" + spec.name + "/archive?path=" + file, "HEAD", nullptr), 200) << file;
  }
}

TEST_F(Images, ALayerThatWasLeftOutAndIsNotThereIsAConflict) {
  Pieces pieces({layer_of("lacking", noise(1000, 7)), top});
  pieces.request.layers.front().left_out = true;
  const auto refused = load(pieces.request);
  ASSERT_EQ(refused.status(), Status::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr("does not have a layer that was left out"));
  EXPECT_FALSE(find(pieces.id));
}

TEST_F(Images, WhatIsNoSoundImageIsRefusedAndNothingOfItStays) {
  Pieces swapped({base, top});
  std::swap(swapped.request.layers[0].at, swapped.request.layers[1].at);
  EXPECT_EQ(load(swapped.request).status(), Status::invalid_argument);
  Pieces cut({base});
  cut.request.layers.front().at.bytes /= 2;
  EXPECT_EQ(load(cut.request).status(), Status::invalid_argument);
  Pieces short_file({base});
  short_file.request.layers.front().at.bytes += 1;
  EXPECT_EQ(load(short_file.request).status(), Status::invalid_argument);
  Pieces absent({base});
  absent.request.file += ".absent";
  EXPECT_EQ(load(absent.request).status(), Status::unavailable);
  for (const char* name : {"web@sha256:00", "", "-x", "a b"}) {
    Pieces misnamed({base}, {name});
    EXPECT_EQ(load(misnamed.request).status(), Status::invalid_argument) << name;
  }
  EXPECT_FALSE(find(swapped.id));
  EXPECT_FALSE(find(cut.id));
}

TEST_F(Images, ALayerMayBeCompressed) {
  const Scratch scratch;
  scratch.write("layer", base);
  k4t::testing::check(k4t::testing::run({"gzip", "-f", (scratch.path() / "layer").string()}), "gzip");
  Pieces pieces({base});
  pieces.request.file = (scratch.path() / "layer.gz").string();
  const std::string packed = Scratch::read(pieces.request.file);
  const std::string config = config_of({base});
  pieces.request.file = scratch.write("pieces", packed + config).string();
  pieces.request.layers.front().at = {0, packed.size()};
  pieces.request.config = {packed.size(), config.size()};
  const auto loaded = load(pieces.request);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message << loaded.error().detail;
  EXPECT_TRUE(find(pieces.id));
}

TEST_F(Images, AreSavedAsAnArchive) {
  const Pieces pieces({base, top});
  ASSERT_TRUE(load(pieces.request).ok());
  OutputSink sink;
  const auto saved = call<method::SaveImages>({{"k4t-test/pushed:1"}}, &sink);
  ASSERT_TRUE(saved.ok()) << saved.error().message;
  const Scratch scratch;
  const auto listed = k4t::testing::run({"tar", "-tf", scratch.write("saved.tar", sink.out).string()});
  EXPECT_EQ(listed.exit_code, 0) << listed.out;
  EXPECT_THAT(listed.out, HasSubstr("manifest.json"));
  EXPECT_GE(sink.out.size(), base_bytes + top_bytes);
  const auto absent = call<method::SaveImages>({{"k4t-test/pushed:1", "k4t-test/absent:1"}});
  ASSERT_EQ(absent.status(), Status::not_found);
  EXPECT_THAT(absent.error().message, HasSubstr("image k4t-test/absent:1 is not on the Docker Engine at"));
}

TEST_F(Images, ACallerThatLeavesEndsTheTransfer) {
  class Leaving final : public CallSink {
   public:
    bool cancelled() override { return seen; }
    void progress(const Progress& /*progress*/) override { seen = true; }
    bool seen = false;
  } leaving;
  const Pieces pieces({base});
  EXPECT_EQ(load(pieces.request, &leaving).status(), Status::deadline);
  EXPECT_FALSE(find(pieces.id));
}

class EachWayIn : public Images, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    if (!k4t::testing::SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed");
    Images::SetUp();
  }
  [[nodiscard]] k4t::testing::DockerEngine& engine() override { return k4t::testing::DockerMachine::shared().engine; }
  [[nodiscard]] Json options() override {
    auto& machine = k4t::testing::DockerMachine::shared();
    return GetParam() ? machine.over_ssh() : machine.over_tls(machine.tls());
  }
};
INSTANTIATE_TEST_SUITE_P(Ways, EachWayIn, ::testing::Bool(), [](const auto& way) { return way.param ? "ssh" : "tls"; });

TEST_P(EachWayIn, TakesAnImageAndGivesItBack) {
  const Pieces pieces({base, top});
  const auto loaded = load(pieces.request);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message << loaded.error().detail;
  EXPECT_THAT(find(pieces.id)->layers, ElementsAre(digest_of(base), digest_of(top)));
  OutputSink sink;
  ASSERT_TRUE(call<method::SaveImages>({{"k4t-test/pushed:1"}}, &sink).ok());
  EXPECT_GE(sink.out.size(), base_bytes + top_bytes);
}

}  // namespace
}  // namespace k4t::docker
