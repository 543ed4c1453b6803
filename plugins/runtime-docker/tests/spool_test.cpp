#include "spool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace k4t::docker {
namespace {

using runtime::LoadRequest;
using ::testing::HasSubstr;

const std::string file = "configAAAABBBBBCCCCCC";

LoadRequest three_layers(const std::vector<bool>& left_out) {
  return {"/f",
          {"web:1"},
          {0, 6},
          {{"sha256:a", {6, 4}, left_out[0]}, {"sha256:b", {10, 5}, left_out[1]}, {"sha256:c", {15, 6}, left_out[2]}},
          {}};
}

std::string assemble(const std::vector<Segment>& segments) {
  std::string bytes;
  for (const auto& segment : segments) {
    const auto* text = std::get_if<std::string>(&segment);
    const auto* extent = std::get_if<runtime::Extent>(&segment);
    bytes += text != nullptr ? *text : file.substr(extent->offset_bytes, extent->bytes);
  }
  return bytes;
}

/// What whoever asks for that load is given.
std::string served(const Spool& spool, std::size_t wanted) {
  const std::string all = assemble(spool.segments);
  std::istringstream recipes(spool.recipes);
  std::string bytes;
  std::size_t load = 0;
  std::size_t offset = 0;
  std::size_t size = 0;
  while (recipes >> load >> offset >> size) {
    if (load == wanted) bytes += all.substr(offset, size);
  }
  return bytes;
}

TEST(Spool, HoldsEachLayerOnce) {
  const auto spool = spool_of(
      {three_layers({true, false, false}), three_layers({true, true, false}), three_layers({false, false, false})});
  EXPECT_EQ(assemble(spool.segments), "BBBBBCCCCCCAAAA");
  EXPECT_EQ(served(spool, 0), "BBBBBCCCCCC");
  EXPECT_EQ(served(spool, 1), "CCCCCC");
  EXPECT_EQ(served(spool, 2), "AAAABBBBBCCCCCC");
}

TEST(Assembly, MakesTheArchiveOfItsOwnTextAndOthersLayersInTheirOrder) {
  for (const auto& load : {three_layers({true, false, false}), three_layers({false, true, false})}) {
    const auto assembly = assembly_of(load);
    ASSERT_TRUE(assembly.ok());
    std::string own = assemble(assembly->own);
    std::string layers = served(spool_of({load}), 0);
    EXPECT_THAT(own, HasSubstr("config")) << "no other node says what the layers are";
    std::string archive;
    std::istringstream parts(assembly->parts);
    std::string whose;
    for (std::size_t bytes = 0; parts >> whose >> bytes;) {
      std::string& from = whose == "own" ? own : layers;
      archive += from.substr(0, bytes);
      from.erase(0, bytes);
    }
    EXPECT_EQ(archive, assemble(*load_archive(load)));
    EXPECT_EQ(archive.size(), assembly->bytes);
    EXPECT_EQ(own + layers, "") << "all of it is used";
  }
  auto nameless = three_layers({false, false, false});
  nameless.names = {"-no"};
  EXPECT_EQ(assembly_of(nameless).status(), Status::invalid_argument);
}

TEST(Shared, IsUnderstoodWhole) {
  const std::string key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n";
  const auto ticket = parse_shared("2001:db8::5 61007 deploy\nssh-ed25519 AAAA\n" + key);
  ASSERT_TRUE(ticket.ok());
  EXPECT_EQ(ticket->address, "2001:db8::5");
  EXPECT_EQ(ticket->port, 61007);
  EXPECT_EQ(ticket->user, "deploy");
  EXPECT_EQ(ticket->host_key, "ssh-ed25519 AAAA");
  EXPECT_EQ(ticket->private_key, key);
  for (const std::string& text :
       {std::string(), "192.0.2.1 0 deploy\nssh-ed25519 AAAA\n" + key, "192.0.2.1 61007\nssh-ed25519 AAAA\n" + key,
        "192.0.2.1 61007 deploy\n" + key, std::string("192.0.2.1 61007 deploy\nssh-ed25519 AAAA\n")}) {
    EXPECT_EQ(parse_shared(text).status(), Status::unavailable) << text;
  }
}

/// What comes of this, in pieces of one byte; `told` is what was told of bytes.
Result<void> outcome_of(const std::string& said, std::vector<std::uint64_t>* told = nullptr) {
  TakeReader reader;
  for (const char byte : said) {
    reader.feed({&byte, 1}, [&](std::uint64_t bytes) {
      if (told != nullptr) told->push_back(bytes);
    });
  }
  return reader.outcome(three_layers({true, false, false}));
}

TEST(Take, TellsTheBytesAndSucceeds) {
  std::vector<std::uint64_t> told;
  const auto outcome = outcome_of(
      "1048576 bytes (1.0 MB, 1.0 MiB) copied, 1 s, 1.0 MB/s\r2097152 bytes copied\n1+1 records in\n1+1 records out\n"
      "2097160 bytes (2.1 MB) copied, 2 s\n\n\nend 0 0\n",
      &told);
  EXPECT_TRUE(outcome.ok());
  EXPECT_THAT(told, ::testing::ElementsAre(1048576, 2097152, 2097160));
}

TEST(Take, TellsAWayThatIsClosedFromAnEngineThatRefuses) {
  auto outcome = outcome_of("no the program ssh is not installed on this node\n");
  EXPECT_EQ(outcome.status(), Status::unsupported);
  EXPECT_EQ(outcome.error().message, "the program ssh is not installed on this node");

  outcome = outcome_of(
      "0 bytes copied, 5 s\n\nssh ssh: connect to host 192.0.2.11 port 61007: Connection timed out\n"
      "docker Error response from daemon: unexpected EOF\n\nend 255 1\n");
  EXPECT_EQ(outcome.status(), Status::unsupported);
  EXPECT_THAT(outcome.error().message, HasSubstr("port 61007: Connection timed out"));

  outcome = outcome_of("\ndocker Error response from daemon: write /x: no space left on device\n\nend 0 1\n");
  EXPECT_EQ(outcome.status(), Status::unavailable);
  EXPECT_THAT(outcome.error().message, HasSubstr("no space left on device"));

  // The engine closes its ears, so that ssh dies of a closed pipe.
  outcome = outcome_of("\ndocker open /0.tar: no such file or directory\n\nend 141 1\n");
  EXPECT_EQ(outcome.status(), Status::conflict);

  EXPECT_EQ(outcome_of("\nend 255 0\n").status(), Status::unsupported);
  EXPECT_EQ(outcome_of("").status(), Status::unsupported) << "the program died";
  EXPECT_EQ(outcome_of("\nend 0 1\n").status(), Status::unavailable);
}

}  // namespace
}  // namespace k4t::docker
