#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/process.hpp"

/// The annotated examples are the documentation of the configuration: the program itself must find nothing wrong with
/// them, the real drivers' options included.

namespace k4t::testing {
namespace {

using ::testing::HasSubstr;

const std::string program = std::string(K4T_BINARY_DIR) + "/bin/k4t";
const std::string examples = std::string(K4T_SOURCE_DIR) + "/config";

TEST(Examples, TheProgramAndEveryRealDriverAcceptThem) {
  const auto checked =
      run({program, "-c", examples + "/k4t.toml", "config", "check", "-f", examples + "/services/web.toml",
           examples + "/services/api.toml", examples + "/services/echo.toml"});
  EXPECT_EQ(checked.exit_code, 0) << checked.out;
  EXPECT_THAT(checked.out, HasSubstr("2 nodes, 2 gateways, 2 DNS servers; 3 services"));
}

TEST(Examples, AnOptionThatADriverDoesNotKnowIsFoundAtItsPlace) {
  const Scratch scratch;
  std::string text = Scratch::read(examples + "/k4t.toml");
  const auto at = text.find("status_port");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 11, "status_pork");
  const auto line = std::to_string(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 1);
  const auto file = scratch.write("k4t.toml", text).string();
  const auto checked = run({program, "-c", file, "config", "check"});
  EXPECT_EQ(checked.exit_code, 2);
  EXPECT_THAT(checked.out, HasSubstr(file + ":" + line + ":"));
  EXPECT_THAT(checked.out, HasSubstr("status_pork"));
}

TEST(Examples, AMissingDriverIsNamedWithThoseThatThereAre) {
  const Scratch scratch;
  std::string text = Scratch::read(examples + "/k4t.toml");
  text.replace(text.find("driver = \"nginx\""), 16, "driver = \"ngimx\"");
  const auto checked = run({program, "-c", scratch.write("k4t.toml", text).string(), "config", "check"});
  EXPECT_EQ(checked.exit_code, 2);
  EXPECT_THAT(checked.out, HasSubstr("ngimx"));
  EXPECT_THAT(checked.out, HasSubstr("haproxy"));
  EXPECT_THAT(checked.out, HasSubstr("[K4T-PLG-020]"));
}

}  // namespace
}  // namespace k4t::testing
