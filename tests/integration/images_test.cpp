#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "k4t/http.hpp"
#include "support/byte_relay.hpp"
#include "support/docker_machine.hpp"
#include "support/packed_image.hpp"
#include "support/real_cluster.hpp"

/// `k4t image`: images come to nodes with real Docker Engines without a registry, through the program.

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::size_t base_bytes = 2'000'000;
constexpr std::size_t top_bytes = 100'000;
/// What a load sends besides layers, and the calls around it.
constexpr std::size_t besides_bytes = 20'000;

std::string noise(std::size_t bytes, unsigned seed) {
  std::string text(bytes, '\0');
  for (auto& byte : text) byte = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24U);
  return text;
}

/// Asks an engine directly.
http::Response ask(const fs::path& socket, const std::string& method, const std::string& path,
                   const std::string& body = {}) {
  http::Endpoint endpoint;
  endpoint.unix_path = socket.string();
  http::Request request{.method = method, .target = path};
  request.headers["Content-Type"] = "application/x-tar";
  request.body = body;
  const auto response = http::Client(endpoint).send(request);
  if (!response) throw std::runtime_error(response.error().message);
  return *response;
}

bool has_image(const fs::path& socket, const std::string& name) {
  return ask(socket, "GET", "/images/" + name + "/json").status == 200;
}

/// The nodes "near", an engine behind a socket of this machine, "far", one that is reached over SSH, and "gone", which
/// nothing answers for; and an engine that is no node, where images are built. What reaches a node is counted.
class ImagePush : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    base = layer_of("base", noise(base_bytes, 1));
    for (unsigned n = 0; n < tops.size(); ++n) tops[n] = layer_of("top", noise(top_bytes, 2 + n));
  }

  void SetUp() override {
    if (const auto missing = DockerEngine::missing(); !missing.empty()) K4T_SKIP_OR_FAIL(missing);
    if (!SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed");
    near_ = std::make_unique<ByteRelay>(near_engine().socket());
    far_ = std::make_unique<ByteRelay>(DockerMachine::shared().engine.socket());
    write_config();
  }

  void TearDown() override {
    if (near_ == nullptr) return;
    for (const auto& socket : {near_engine().socket(), DockerMachine::shared().engine.socket(), builder().socket()}) {
      for (const auto& image : Json::parse(ask(socket, "GET", "/images/json").body)) {
        ask(socket, "DELETE", "/images/" + image.at("Id").get<std::string>() + "?force=1");
      }
    }
  }

  static DockerEngine& near_engine() { return DockerEngine::shared(); }
  /// Where images are built.
  static DockerEngine& builder() {
    static DockerEngine engine;
    return engine;
  }

  void write_config(const std::string& more = {}) const {
    const auto node = [](const std::string& name, unsigned number, const Json& options) {
      std::string text = "\n[[node]]\nname = \"" + name + "\"\ndriver = \"docker\"\naddress = \"127.0.0." +
                         std::to_string(number) + "\"\n";
      for (const auto& [key, value] : options.items()) text += "options." + key + " = " + value.dump() + "\n";
      return text;
    };
    const auto& sshd = DockerMachine::shared().sshd;
    scratch_.write("k4t.toml",
                   "[cluster]\nname = \"demo\"\ndomain = \"demo.example.net\"\nstate = \"state\"\n[plugins]\nfolders = "
                   "[\"" K4T_BINARY_DIR "/plugins\"]\n[ssh]\nidentity = [\"" +
                       sshd.identity() + "\"]\nknown_hosts = \"" + sshd.known_hosts() + "\"\n" +
                       node("near", 1, {{"host", "unix://" + near_->socket().string()}}) +
                       node("far", 2, {{"host", sshd.url()}, {"socket", far_->socket().string()}}) +
                       node("gone", 3, {{"host", "unix://" + (scratch_.path() / "nobody.sock").string()}}) + more +
                       "\n[[dns]]\nname = \"ns1\"\ndriver = \"bind\"\naddress = \"127.0.0.1\"\noptions.key_file = \"" +
                       scratch_.write("key", "", 0600).string() + "\"\n");
  }

  K4tCommand k4t(const std::vector<std::string>& arguments) const {
    std::vector<std::string> argv{"env",
                                  "--chdir=" + scratch_.path().string(),
                                  "sh",
                                  "-c",
                                  "exec \"$@\" >out 2>err",
                                  "sh",
                                  K4T_BINARY_DIR "/bin/k4t"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const auto ran = run(argv, {}, std::chrono::minutes(2));
    return {ran.exit_code, Scratch::read(scratch_.path() / "out"), Scratch::read(scratch_.path() / "err")};
  }

  /// `image push -o json …`, its rows by node.
  std::map<std::string, Json> push(std::vector<std::string> arguments, int exit_code) const {
    arguments.insert(arguments.begin(), {"-o", "json", "image", "push"});
    const auto command = k4t(arguments);
    EXPECT_EQ(command.exit_code, exit_code) << command.out << command.err;
    std::map<std::string, Json> rows;
    const Json json = Json::parse(command.out, nullptr, false);
    if (json.is_array()) {
      for (const auto& row : json) rows[row.at("node")] = row;
    } else {
      rows["error"] = json;
    }
    return rows;
  }

  /// An archive as `docker save` makes it.
  [[nodiscard]] std::string archive(const std::vector<std::string>& layers, const std::string& name,
                                    const std::vector<std::string>& options = {}) const {
    return make_tar(scratch_, saved(layers, Json::array({name})), "saved.tar", options);
  }
  void build(const std::vector<std::string>& layers, const std::string& name) const {
    const auto loaded = ask(builder().socket(), "POST", "/images/load", Scratch::read(archive(layers, name)));
    ASSERT_THAT(loaded.body, HasSubstr("Loaded image"));
  }
  [[nodiscard]] std::vector<std::string> from_builder(std::vector<std::string> images) const {
    images.insert(images.end(), {"--from", builder().host()});
    return images;
  }

  static inline std::string base;
  static inline std::array<std::string, 3> tops;
  Scratch scratch_;
  std::unique_ptr<ByteRelay> near_;
  std::unique_ptr<ByteRelay> far_;
};

TEST_F(ImagePush, ASecondImageThatSharesABaseSendsOnlyItsOwnLayerToEachNode) {
  build({base, tops[0]}, "shop/web:1");
  build({base, tops[1]}, "shop/web:2");
  auto rows = push(from_builder({"shop/web:1"}), 7);
  for (const char* node : {"near", "far"}) {
    EXPECT_EQ(rows[node].value("result", ""), "loaded") << rows[node];
    EXPECT_EQ(rows[node].value("sent_layers", 0), 2);
    EXPECT_GE(rows[node].value("sent_bytes", std::size_t{0}), base_bytes + top_bytes);
  }
  EXPECT_EQ(rows["gone"].value("result", ""), "failed");
  EXPECT_THAT(rows["gone"].value("why", ""), HasSubstr("cannot reach the Docker Engine"));
  EXPECT_TRUE(has_image(near_engine().socket(), "shop/web:1"));
  EXPECT_TRUE(has_image(DockerMachine::shared().engine.socket(), "shop/web:1"));
  EXPECT_GE(near_->take_sent(), base_bytes + top_bytes);
  EXPECT_GE(far_->take_sent(), base_bytes + top_bytes);

  rows = push(from_builder({"shop/web:2", "--node", "near", "--node", "far"}), 0);
  for (const char* node : {"near", "far"}) {
    EXPECT_EQ(rows[node].value("sent_layers", 0), 1) << rows[node];
    EXPECT_EQ(rows[node].value("layers", 0), 2);
  }
  for (auto* relay : {near_.get(), far_.get()}) {
    const auto sent = relay->take_sent();
    EXPECT_GE(sent, top_bytes);
    EXPECT_LE(sent, top_bytes + besides_bytes) << "the base was sent once more";
  }
  EXPECT_TRUE(has_image(DockerMachine::shared().engine.socket(), "shop/web:2"));

  rows = push(from_builder({"shop/web:2", "--node", "near"}), 0);
  EXPECT_EQ(rows["near"].value("result", ""), "present");
  EXPECT_LE(near_->take_sent(), besides_bytes);
}

TEST_F(ImagePush, AnImageThatIsThereUnderAnotherNameGetsTheNewOneWithoutALayer) {
  push({"--archive", archive({base}, "shop/web:1"), "--node", "near"}, 0);
  near_->take_sent();
  auto rows = push({"--archive", archive({base}, "shop/web:stable"), "--node", "near"}, 0);
  EXPECT_EQ(rows["near"].value("result", ""), "loaded");
  EXPECT_EQ(rows["near"].value("sent_layers", -1), 0);
  EXPECT_LE(near_->take_sent(), besides_bytes);
  EXPECT_TRUE(has_image(near_engine().socket(), "shop/web:stable"));
}

TEST_F(ImagePush, AnArchiveIsEnoughWhateverItsForm) {
  EXPECT_EQ(push({"--archive", archive({base}, "shop/plain:1"), "--node", "near"}, 0)["near"].value("result", ""),
            "loaded");
  EXPECT_EQ(push({"--archive", archive({base, tops[0]}, "shop/gzip:1", {"--gzip"}), "--node", "near"}, 0)["near"].value(
                "sent_layers", 0),
            1);
  Members members;
  Json image = add_image(members, {base, tops[1]});
  image["annotations"] = {{"io.containerd.image.name", "docker.io/shop/oci:1"}};
  const auto oci = make_tar(scratch_, layout(members, Json::array({image})), "oci.tar");
  EXPECT_EQ(push({"--archive", oci, "--node", "far"}, 0)["far"].value("result", ""), "loaded");
  EXPECT_EQ(push({"mine:3", "--archive", oci, "--node", "near"}, 1)["error"].at("error").value("status", ""),
            "not_found");
  image.erase("annotations");
  const auto nameless = make_tar(scratch_, layout(members, Json::array({image})), "nameless.tar");
  EXPECT_EQ(push({"mine:3", "--archive", nameless, "--node", "near"}, 0)["near"].value("image", ""), "mine:3");
  for (const char* name : {"shop/plain:1", "shop/gzip:1", "mine:3"}) {
    EXPECT_TRUE(has_image(near_engine().socket(), name)) << name;
  }
  EXPECT_TRUE(has_image(DockerMachine::shared().engine.socket(), "shop/oci:1"));
}

TEST_F(ImagePush, ANodeCanBeTheSource) {
  push({"--archive", archive({base, tops[0]}, "shop/web:1"), "--node", "near"}, 0);
  const auto rows = push({"shop/web:1", "--from", "near", "--node", "far"}, 0);
  EXPECT_EQ(rows.at("far").value("sent_layers", 0), 2);
  EXPECT_TRUE(has_image(DockerMachine::shared().engine.socket(), "shop/web:1"));
}

TEST_F(ImagePush, WhatIsWrongIsToldAndNothingIsSent) {
  const auto refusal = [&](const std::vector<std::string>& arguments, int exit_code) {
    return push(arguments, exit_code)["error"]["error"].value("message", "");
  };
  const auto path = archive({base}, "shop/web:1");
  EXPECT_THAT(refusal({}, 2), HasSubstr("which images?"));
  EXPECT_THAT(refusal({"a b", "--archive", path}, 2), HasSubstr("is not an image's name"));
  EXPECT_THAT(refusal({"--archive", path, "--node", "nobody"}, 2), HasSubstr("there is no node 'nobody'"));
  EXPECT_THAT(refusal({"--archive", "/nowhere.tar"}, 1), HasSubstr("there is no file /nowhere.tar"));
  EXPECT_THAT(refusal({"--archive", scratch_.write("text", "no tar").string()}, 2), HasSubstr("no sound tar archive"));
  EXPECT_THAT(refusal({"web", "--from", "nobody"}, 2), HasSubstr("there is no such node, nor is it an engine"));
  EXPECT_THAT(refusal(from_builder({"shop/absent:1"}), 1),
              StartsWith("image shop/absent:1 is not on the Docker Engine"));
  EXPECT_EQ(push({"--archive", path, "--node", "gone"}, 1)["gone"].value("result", ""), "failed");
  EXPECT_FALSE(has_image(near_engine().socket(), "shop/web:1"));
  EXPECT_LE(near_->take_sent(), 1000U);
}

TEST_F(ImagePush, OfACorruptLayerNothingStaysAndTheOtherImageIsDoneAllTheSame) {
  Members members = saved({base}, Json::array({"shop/web:1"}));
  Members evil = saved({tops[0]}, Json::array({"shop/evil:1"}));
  for (auto& [name, content] : evil) {
    if (name.ends_with("layer.tar")) content = tops[1];
  }
  const auto bad = push({"--archive", make_tar(scratch_, evil, "evil.tar"), "--node", "near"}, 1);
  EXPECT_THAT(bad.at("near").value("why", ""), HasSubstr("no sound image"));
  EXPECT_FALSE(has_image(near_engine().socket(), "shop/evil:1"));
  EXPECT_EQ(push({"--archive", make_tar(scratch_, members), "--node", "near"}, 0).at("near").value("result", ""),
            "loaded");
}

TEST_F(ImagePush, ForPeopleThereIsATableAndProgressOnStandardError) {
  const auto pushed = k4t({"image", "push", "--archive", archive({base}, "shop/web:1")});
  EXPECT_EQ(pushed.exit_code, 7);
  EXPECT_THAT(pushed.out, HasSubstr("near  shop/web:1  loaded  2.0 MB, 1 of 1 layers"));
  EXPECT_THAT(pushed.out, HasSubstr("gone  shop/web:1  failed  -"));
  EXPECT_THAT(pushed.err, HasSubstr("image shop/web:1 on near: present (1 of 1 layers were sent)"));
  EXPECT_THAT(pushed.err, HasSubstr("image shop/web:1 on gone: failed (node 'gone': cannot reach"));
}

TEST_F(ImagePush, ListsWhereTheServicesImagesAre) {
  push({"--archive", archive({base}, "shop/web:1"), "--node", "near"}, 0);
  scratch_.write("web.toml", "[[service]]\nname = \"web\"\nimage = \"docker.io/shop/web:1\"\n");
  const auto listed = k4t({"-o", "json", "image", "ls", "-f", "web.toml"});
  ASSERT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_EQ(listed.json(), Json::parse(R"([{"image": "docker.io/shop/web:1", "services": ["web"], "on": ["near"],
                                            "not_on": ["far"], "unknown": ["gone"]}])"));
}

TEST_F(ImagePush, ANodeThatRunsNoImagesIsLeftOutUnlessItIsNamed) {
  write_config("\n[[node]]\nname = \"plain\"\ndriver = \"process\"\naddress = \"127.0.0.4\"\noptions.folder = \"" +
               (scratch_.path() / "processes").string() + "\"\n");
  const auto path = archive({base}, "shop/web:1");
  EXPECT_FALSE(push({"--archive", path}, 7).contains("plain"));
  EXPECT_THAT(push({"--archive", path, "--node", "plain"}, 2)["error"]["error"].value("message", ""),
              HasSubstr("takes no images"));
}

}  // namespace
}  // namespace k4t::testing
