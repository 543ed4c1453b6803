#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "samples.hpp"
#include "support/process.hpp"

namespace k4t::config::testing {
namespace {

using k4t::testing::Scratch;

std::string load_brief(const std::string& path) { return brief(load_cluster(path).diagnostics); }

TEST(ConfigurationFileTest, WhatCannotBeReadHasAClearCause) {
  const Scratch scratch;
  const std::string folder = scratch.path().string();
  EXPECT_EQ(load_brief(folder + "/none.toml"), "0:0 001 there is no such file | check the path, or create the file\n");
  EXPECT_EQ(load_brief(""), "0:0 001 there is no such file | check the path, or create the file\n");
  EXPECT_EQ(load_brief(folder), "0:0 003 it is a folder | name the files in it one by one\n");
  const std::string file = scratch.write("k4t.toml", small_cluster());
  EXPECT_EQ(load_brief(file + "/x"),
            "0:0 002 it cannot be opened: Not a directory | make it readable for the user who runs k4t\n");
}

TEST(ConfigurationFileTest, ANamedPipeDoesNotHangTheProgram) {
  const Scratch scratch;
  const std::string pipe = scratch.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(load_brief(pipe), "0:0 003 it is not a regular file | name a regular file\n");
}

TEST(ConfigurationFileTest, AFileBeyondTheLimitIsRefused) {
  const Scratch scratch;
  const std::string text = small_cluster();
  const std::string filler = "#" + std::string((1U << 20U) - text.size() - 2, 'x') + '\n';
  EXPECT_EQ(load_brief(scratch.write("fits.toml", text + filler)), "");
  const std::string expected = "0:0 004 it is larger than 1 MiB | split it into several files\n";
  EXPECT_EQ(load_brief(scratch.write("large.toml", text + filler + "\n")), expected);
  EXPECT_EQ(brief(parse_cluster_text(text + filler + "\n").diagnostics), expected);
}

TEST(ConfigurationFileTest, AFileThatAnybodyMayWriteIsReadWithAWarning) {
  const Scratch scratch;
  const std::string file = scratch.write("k4t.toml", small_cluster());
  ASSERT_EQ(::chmod(file.c_str(), 0646), 0);
  const auto loaded = load_cluster(file);
  EXPECT_EQ(brief(loaded.diagnostics), "?0:0 005 anybody on this machine may write it | run chmod o-w on it\n");
  EXPECT_TRUE(loaded.ok());
}

TEST(ConfigurationFileTest, RelativePathsBeginAtTheFilesFolder) {
  const Scratch scratch;
  const auto file =
      scratch.write("conf/k4t.toml", replaced(small_cluster(), "[[node]]", "state = \"../state\"\n[[node]]"));
  const auto loaded = load_cluster(file.string());
  ASSERT_TRUE(loaded.ok()) << brief(loaded.diagnostics);
  EXPECT_EQ(loaded.value->state_folder, (scratch.path() / "state").string());
}

TEST(ConfigurationFileTest, ABrokenClusterDoesNotHideBrokenServices) {
  const Scratch scratch;
  const auto cluster = scratch.write("k4t.toml", replaced(small_cluster(), "192.0.2.11", "node-1"));
  const auto services = scratch.write("web.toml", small_service("replicas = -1\n"));
  const auto loaded = load(cluster, {services, scratch.path() / "none.toml"});
  EXPECT_FALSE(loaded.ok());
  ASSERT_EQ(loaded.diagnostics.size(), 3u) << brief(loaded.diagnostics);
  EXPECT_EQ(loaded.diagnostics[0].file, cluster);
  EXPECT_EQ(loaded.diagnostics[1].file, services);
  EXPECT_EQ(loaded.diagnostics[2].id, "K4T-CFG-001");
  EXPECT_EQ(loaded.sources.size(), 2u);
}

TEST(ConfigurationFileTest, LoadGivesClusterAndServices) {
  const Scratch scratch;
  const auto loaded = load(scratch.write("k4t.toml", small_cluster()), {scratch.write("web.toml", small_service())});
  ASSERT_TRUE(loaded.ok()) << brief(loaded.diagnostics);
  EXPECT_EQ(loaded.value->cluster.name, "demo");
  EXPECT_EQ(loaded.value->services.at(0).name, "web");
  const auto place = loaded.origins.find("/service/web/image");
  ASSERT_TRUE(place);
  EXPECT_EQ(place->at, (Position{3, 9}));
}

}  // namespace
}  // namespace k4t::config::testing
