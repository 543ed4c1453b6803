#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "k4t/driver.h"

// The boundaries between core, SDK and plugins, and between core's floors, read from the #include lines of the tree.

namespace k4t {
namespace {

namespace fs = std::filesystem;

struct Floor {
  std::string_view folder;
  int height;
};
constexpr std::array kFloors = {Floor{"model", 0},    Floor{"platform", 0}, Floor{"config", 1}, Floor{"image", 1},
                                Floor{"schedule", 1}, Floor{"txn", 1},      Floor{"store", 1},  Floor{"plugin", 1},
                                Floor{"plan", 2},     Floor{"drivers", 2},  Floor{"backup", 2}, Floor{"operation", 3},
                                Floor{"monitor", 3},  Floor{"cli", 4}};

std::optional<int> height_of(std::string_view folder) {
  for (const Floor& floor : kFloors) {
    if (floor.folder == folder) return floor.height;
  }
  return std::nullopt;
}

/// What a file that computes only may not include: files, sockets, processes, threads, terminals, loaders.
bool is_input_output(std::string_view included) {
  if (included == "arpa/inet.h") return false;  // addresses as text and as bytes, no socket
  constexpr std::array kHeaders = {"fstream",  "iostream",  "cstdio",  "stdio.h",           "filesystem",
                                   "unistd.h", "fcntl.h",   "poll.h",  "dlfcn.h",           "netdb.h",
                                   "thread",   "future",    "spawn.h", "signal.h",          "csignal",
                                   "random",   "sqlite3.h", "pwd.h",   "k4t/transport.hpp", "k4t/http.hpp"};
  constexpr std::array kFolders = {"sys/",       "arpa/",       "netinet/",  "net/",    "linux/",
                                   "boost/asio", "boost/beast", "boost/dll", "libssh/", "ldns/",
                                   "openssl/",   "platform/",   "store/",    "plugin/"};
  return std::find(kHeaders.begin(), kHeaders.end(), included) != kHeaders.end() ||
         std::any_of(kFolders.begin(), kFolders.end(),
                     [&](std::string_view folder) { return included.rfind(folder, 0) == 0; });
}

/// The folders whose every file is pure; of txn it is the coordinator, whose runner does the driving.
bool is_pure(const fs::path& file, std::string_view folder) {
  const std::string name = file.filename().string();
  return folder == "model" || folder == "schedule" || folder == "plan" ||
         (folder == "txn" && name.rfind("coordinator", 0) == 0);
}

std::string first_part(std::string_view path) { return std::string(path.substr(0, path.find('/'))); }

/// Why a file of core may not include this, or empty. `file` is relative to core/.
std::string judge_core(const fs::path& file, const std::string& included) {
  const std::string own = file.begin()->string();
  const std::string target = first_part(included);
  const auto own_height = height_of(own);
  if (!own_height) return "core/" + own + " is no known floor: give it one here and in the architecture";
  if (is_pure(file, own) && is_input_output(included)) return "pure code includes input and output";
  if (included.find("..") != std::string::npos) return "includes go by floor, not by ..";
  const auto target_height = height_of(target);
  if (!target_height || target == own || included.find('/') == std::string::npos) return {};
  // Model and platform are the ground: they may stand on each other.
  if (*target_height < *own_height || (*target_height == 0 && *own_height == 0)) return {};
  return "includes run downward only: " + own + " is not above " + target;
}

/// Why a file of the SDK or of a plugin may not include this. `own` exists where the include names a file of its part.
std::string judge_outside(const std::string& included, bool own) {
  if (included.find("..") != std::string::npos) return "leaves its folder";
  if (own || included.rfind("k4t/", 0) == 0) return {};
  return "is neither its own nor the SDK's";
}

std::vector<std::string> includes_of(const fs::path& file, bool quoted_only) {
  static const std::regex kInclude(R"re(^\s*#\s*include\s*([<"])([^>"]+)[>"])re");
  std::vector<std::string> found;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_search(line, match, kInclude) && (match[1] == "\"" || !quoted_only)) found.push_back(match[2]);
  }
  return found;
}

bool is_source(const fs::path& file) {
  const auto extension = file.extension();
  return extension == ".cpp" || extension == ".hpp" || extension == ".h" || extension == ".c";
}

std::vector<fs::path> sources_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && is_source(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

const fs::path kTree = K4T_SOURCE_DIR;

TEST(BoundariesTest, CoreIncludesRunDownwardAndPureCodeStaysPure) {
  const auto files = sources_below(kTree / "core");
  ASSERT_GT(files.size(), 10u);
  for (const auto& file : files) {
    const fs::path relative = fs::relative(file, kTree / "core");
    for (const auto& included : includes_of(file, false)) {
      EXPECT_EQ(judge_core(relative, included), "") << "core/" << relative.string() << " includes " << included;
    }
  }
}

/// Each folder below `parent` is a part that sees itself and the SDK. Its tests may use the test support too.
void expect_parts_keep_to_themselves(const fs::path& parent) {
  for (const auto& part : fs::directory_iterator(parent)) {
    if (!part.is_directory()) continue;
    for (const auto& file : sources_below(part)) {
      const bool test = fs::relative(file, part).begin()->string() == "tests";
      for (const auto& included : includes_of(file, true)) {
        const bool own = fs::exists(file.parent_path() / included) || fs::exists(part.path() / included);
        if (test && included.rfind("support/", 0) == 0) continue;
        EXPECT_EQ(judge_outside(included, own), "") << file.string() << " includes " << included;
      }
    }
  }
}

TEST(BoundariesTest, PluginsSeeThemselvesAndTheSdkOnly) { expect_parts_keep_to_themselves(kTree / "plugins"); }
TEST(BoundariesTest, SdkSeesItselfOnly) { expect_parts_keep_to_themselves(kTree / "sdk"); }

TEST(BoundariesTest, SdkHeadersExistWhereverTheyAreIncluded) {
  for (const char* part : {"core", "plugins", "sdk"}) {
    for (const auto& file : sources_below(kTree / part)) {
      for (const auto& included : includes_of(file, false)) {
        if (included.rfind("k4t/", 0) != 0) continue;
        EXPECT_TRUE(fs::exists(kTree / "sdk" / "include" / included)) << file.string() << " includes " << included;
      }
    }
  }
}

// The rules themselves, so that a rule that stops to bite is seen.

TEST(BoundariesTest, RulesRefuseWhatCrossesAFloor) {
  EXPECT_EQ(judge_core("txn/coordinator.cpp", "model/state.hpp"), "");
  EXPECT_EQ(judge_core("cli/main.cpp", "operation/apply.hpp"), "");
  EXPECT_EQ(judge_core("plan/plan.cpp", "gmock/gmock.h"), "");
  EXPECT_NE(judge_core("model/state.cpp", "config/toml.hpp"), "");
  EXPECT_NE(judge_core("config/toml.cpp", "plugin/catalog.hpp"), "");
  EXPECT_NE(judge_core("store/log.cpp", "../../plugins/dns-bind/render.hpp"), "");
  EXPECT_NE(judge_core("extra/file.cpp", "model/state.hpp"), "");
}

TEST(BoundariesTest, RulesRefuseInputAndOutputInPureCode) {
  EXPECT_NE(judge_core("model/state.cpp", "fstream"), "");
  EXPECT_NE(judge_core("schedule/assign.cpp", "sys/stat.h"), "");
  EXPECT_NE(judge_core("plan/plan.cpp", "k4t/transport.hpp"), "");
  EXPECT_NE(judge_core("txn/coordinator.cpp", "thread"), "");
  EXPECT_EQ(judge_core("txn/runner.cpp", "thread"), "");
  EXPECT_EQ(judge_core("model/state.cpp", "vector"), "");
}

TEST(BoundariesTest, RulesRefuseWhatAPluginDoesNotOwn) {
  EXPECT_EQ(judge_outside("k4t/gateway.hpp", false), "");
  EXPECT_EQ(judge_outside("render.hpp", true), "");
  EXPECT_NE(judge_outside("plugin/catalog.hpp", false), "");
  EXPECT_NE(judge_outside("../gateway-nginx/render.hpp", true), "");
}

// The layout that every plugin in the field was compiled with (LP64). Fields may be appended: then lines are added
// here.

struct Field {
  const char* name;
  std::size_t offset_bytes;
  std::size_t size_bytes;
};

#define FIELD(STRUCT, NAME) \
  Field { #STRUCT "." #NAME, offsetof(STRUCT, NAME), sizeof(STRUCT::NAME) }

constexpr std::array kLayout = {FIELD(k4t_call, size),
                                FIELD(k4t_call, timeout_ms),
                                FIELD(k4t_call, host),
                                FIELD(k4t_call, cancelled),
                                FIELD(k4t_call, reply),
                                FIELD(k4t_call, log),
                                FIELD(k4t_call, progress),
                                FIELD(k4t_call, stream),
                                FIELD(k4t_driver, size),
                                FIELD(k4t_driver, abi_minor),
                                FIELD(k4t_driver, min_host_minor),
                                FIELD(k4t_driver, reserved),
                                FIELD(k4t_driver, describe),
                                FIELD(k4t_driver, open),
                                FIELD(k4t_driver, call),
                                FIELD(k4t_driver, close)};

constexpr std::array kPublished = {
    Field{"k4t_call.size", 0, 4},        Field{"k4t_call.timeout_ms", 4, 4},       Field{"k4t_call.host", 8, 8},
    Field{"k4t_call.cancelled", 16, 8},  Field{"k4t_call.reply", 24, 8},           Field{"k4t_call.log", 32, 8},
    Field{"k4t_call.progress", 40, 8},   Field{"k4t_call.stream", 48, 8},          Field{"k4t_driver.size", 0, 4},
    Field{"k4t_driver.abi_minor", 4, 4}, Field{"k4t_driver.min_host_minor", 8, 4}, Field{"k4t_driver.reserved", 12, 4},
    Field{"k4t_driver.describe", 16, 8}, Field{"k4t_driver.open", 24, 8},          Field{"k4t_driver.call", 32, 8},
    Field{"k4t_driver.close", 40, 8}};

TEST(BoundariesTest, DriverLayoutIsTheOneThatWasPublished) {
  ASSERT_EQ(kLayout.size(), kPublished.size());
  for (std::size_t i = 0; i < kLayout.size(); ++i) {
    EXPECT_STREQ(kLayout[i].name, kPublished[i].name);
    EXPECT_EQ(kLayout[i].offset_bytes, kPublished[i].offset_bytes) << kLayout[i].name;
    EXPECT_EQ(kLayout[i].size_bytes, kPublished[i].size_bytes) << kLayout[i].name;
  }
  EXPECT_EQ(sizeof(k4t_call), 56u);
  EXPECT_EQ(sizeof(k4t_driver), 48u);
}

TEST(BoundariesTest, StatusNumbersAreThoseThatWerePublished) {
  constexpr std::array kStatuses = {K4T_OK,          K4T_INVALID_ARGUMENT, K4T_NOT_FOUND, K4T_CONFLICT, K4T_BUSY,
                                    K4T_UNSUPPORTED, K4T_UNAVAILABLE,      K4T_DEADLINE,  K4T_FATAL};
  for (std::size_t i = 0; i < kStatuses.size(); ++i) EXPECT_EQ(kStatuses[i], static_cast<int>(i));
}

}  // namespace
}  // namespace k4t
