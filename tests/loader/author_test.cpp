#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "k4t/json.hpp"
#include "plugin/library.hpp"
#include "support/process.hpp"

// What a driver's author does with the SDK alone.

namespace k4t::plugin {
namespace {

namespace fs = std::filesystem;
using k4t::testing::run;

const fs::path kSource = K4T_SOURCE_DIR;
const fs::path kBinaries = K4T_BINARY_DIR;

class AuthorTest : public ::testing::Test {
 protected:
  /// Runs the conformance program on a plugin with a file as its server.
  k4t::testing::Ran conformance(const fs::path& plugin, const std::string& kind) {
    const fs::path server = scratch_.path() / "server";
    fs::create_directory(server);
    const fs::path away = scratch_.path() / "away";
    const Json config = {{"open",
                          {{"cluster", "demo"},
                           {"domain", "k4t.example.net"},
                           {"name", "gw1"},
                           {"address", "192.0.2.1"},
                           {"options", {{"file", (server / "null.json").string()}}}}},
                         {"hooks",
                          {{"take_down", {"mv", "-T", server.string(), away.string()}},
                           {"bring_up", {"mv", "-T", away.string(), server.string()}}}}};
    const auto file = scratch_.write("conformance.json", config.dump());
    return run(
        {(kBinaries / "bin" / "k4t-conformance").string(), plugin.string(), "--kind", kind, "--config", file.string()});
  }

  k4t::testing::Scratch scratch_;
};

TEST_F(AuthorTest, DriverHeaderIsStrictC99) {
  const auto file =
      scratch_.write("use.c", "#include <k4t/driver.h>\nint main(void) { return (int)sizeof(k4t_call) - 56; }\n");
  const auto built =
      run({"cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I", (kSource / "sdk" / "include").string(),
           "-o", (scratch_.path() / "use").string(), file.string()});
  ASSERT_EQ(built.exit_code, 0) << built.out;
  EXPECT_EQ(run({(scratch_.path() / "use").string()}).exit_code, 0);
}

TEST_F(AuthorTest, ExampleBuildsByItselfWithTheSdkHeadersOnlyAndLoads) {
  const fs::path copy = scratch_.path() / "driver";
  fs::copy(kSource / "sdk" / "examples" / "driver-null", copy);
  const fs::path built = scratch_.path() / "built";
  const auto configured = run({"cmake", "-G", "Ninja", "-S", copy.string(), "-B", built.string(),
                               "-DK4T_SDK=" + (kSource / "sdk" / "include").string()});
  ASSERT_EQ(configured.exit_code, 0) << configured.out;
  const auto made = run({"cmake", "--build", built.string()}, {}, std::chrono::minutes(3));
  ASSERT_EQ(made.exit_code, 0) << made.out;
  const fs::path plugin = built / "examples" / "gateway-null.so";
  fs::permissions(plugin, fs::perms::group_write | fs::perms::others_write, fs::perm_options::remove);
  fs::permissions(plugin.parent_path(), fs::perms::group_write | fs::perms::others_write, fs::perm_options::remove);
  const auto library = Library::load(plugin);
  ASSERT_TRUE(library) << library.error().message;
  EXPECT_EQ((*library)->manifest().name, "null");
}

TEST_F(AuthorTest, ConformanceProgramPassesTheExample) {
  const auto ran = conformance(kBinaries / "examples" / "gateway-null.so", "gateway");
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_NE(ran.out.find("pass  participant.server_down_is_unavailable_never_empty"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("skip  participant.drift_is_seen_and_repaired: needs the hook drift"), std::string::npos);
}

TEST_F(AuthorTest, ConformanceProgramFailsADriverThatLies) {
  const auto ran = conformance(kBinaries / "tests" / "loader" / "lib" / "misbehaves.so", "gateway");
  EXPECT_EQ(ran.exit_code, 1) << ran.out;
  EXPECT_NE(ran.out.find("FAIL  participant.blank_server_shows_blank"), std::string::npos) << ran.out;
}

TEST_F(AuthorTest, ConformanceProgramSaysWhyItCannotRun) {
  const auto other = conformance(kBinaries / "examples" / "gateway-null.so", "dns");
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_EQ(other.out, "k4t-conformance: the plugin is a gateway driver\n");
  const auto none = conformance(scratch_.path() / "none.so", "gateway");
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_NE(none.out.find("K4T-PLG-001"), std::string::npos) << none.out;
}

}  // namespace
}  // namespace k4t::plugin
