#include <gtest/gtest.h>

#include "samples.hpp"

namespace k4t::config::testing {
namespace {

const Diagnostic unknown{Severity::error, "web.toml", 2, 3, "unknown key \"x\"", "remove it", "K4T-CFG-020"};
const Diagnostic whole{Severity::warning, "k4t.toml", 0, 0, "anybody may write it", "run chmod", "K4T-CFG-005"};

TEST(RenderTest, PlainHasOneLineWithThePlaceAndOneWithTheRemedy) {
  EXPECT_EQ(render_plain({unknown, whole}),
            "web.toml:2:3: error: unknown key \"x\" [K4T-CFG-020]\n    remove it\n"
            "k4t.toml: warning: anybody may write it [K4T-CFG-005]\n    run chmod\n");
}

TEST(RenderTest, TerminalShowsTheLineWithACaretUnderThePlace) {
  const Sources sources = {{"web.toml", "first\n\tüx = 1\r\n"}};
  EXPECT_EQ(render_terminal({unknown, whole}, sources, false),
            "web.toml:2:3: error: unknown key \"x\" [K4T-CFG-020]\n"
            "    2 |  üx = 1\n"
            "      |   ^\n"
            "    remove it\n"
            "k4t.toml: warning: anybody may write it [K4T-CFG-005]\n"
            "    run chmod\n");
}

TEST(RenderTest, ColourIsOnlyThereWhenAskedFor) {
  EXPECT_NE(render_terminal({unknown}, {}, true).find("\x1b[1;31merror"), std::string::npos);
  EXPECT_EQ(render_terminal({unknown}, {}, false).find('\x1b'), std::string::npos);
}

TEST(RenderTest, NothingInAFileSteersTheTerminal) {
  const std::string evil = "a\x1b]0;title\x07\x7f\xc2\x9b\xff";
  const Sources sources = {{"web.toml", "\n" + evil + "\n"}};
  Diagnostic diagnostic = unknown;
  diagnostic.cause = in_quotes(evil);
  const std::string text = render_terminal({diagnostic}, sources, false) + render_plain({diagnostic});
  for (const char c : text) EXPECT_TRUE(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)) << text;
  EXPECT_EQ(text.find("\xc2\x9b"), std::string::npos);
  EXPECT_EQ(in_quotes(evil), "\"a\\u001b]0;title\\u0007\\u007f\\u009b\xef\xbf\xbd\"");
}

TEST(RenderTest, LongValuesAreCut) { EXPECT_EQ(in_quotes(std::string(100, 'x')), '"' + std::string(60, 'x') + "…\""); }

TEST(RenderTest, JsonHasEveryField) {
  EXPECT_EQ(render_json({unknown}).dump(),
            R"({"diagnostics":[{"cause":"unknown key \"x\"","column":3,"file":"web.toml","id":"K4T-CFG-020","line":2,)"
            R"("remedy":"remove it","severity":"error"}]})");
}

}  // namespace
}  // namespace k4t::config::testing
