#include "cli/console.hpp"

#include <gtest/gtest.h>

#include "memory_file.hpp"

namespace k4t::cli {
namespace {

TEST(Styled, ColoursOnlyWhereTheyAreSeen) {
  EXPECT_EQ(styled("done", Style::good, true), "\x1b[32mdone\x1b[0m");
  EXPECT_EQ(styled("done", Style::good, false), "done");
  EXPECT_EQ(styled("done", Style::plain, true), "done");
  EXPECT_EQ(styled("", Style::bad, true), "");
}

TEST(Printable, LetsNothingSteerTheTerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb"), "a?[2Jb");
  EXPECT_EQ(printable("a\x1b]0;title\x07"), "a?]0;title?");
  EXPECT_EQ(printable("one\rtwo\tthree\b\x7f"), "one?two?three??");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
}

TEST(Printable, KeepsLineBreaksOnlyWhereAsked) {
  EXPECT_EQ(printable("a\nb"), "a?b");
  EXPECT_EQ(printable("a\nb\r\n", true), "a\nb?\n");
}

TEST(Printable, ReplacesC1ControlsInBothOfTheirForms) {
  EXPECT_EQ(printable("a\xC2\x9B"
                      "31mb"),
            "a?31mb")
      << "CSI as UTF-8";
  EXPECT_EQ(printable("a\x9B"
                      "31mb"),
            "a?31mb")
      << "CSI as one byte";
  EXPECT_EQ(printable("a\xC2\xA0"), "a\xC2\xA0") << "a no-break space is none";
}

TEST(Printable, ReplacesMarksThatTurnTextAround) { EXPECT_EQ(printable("a\u202Eb\u2066c\u200Fd\u2028e"), "a?b?c?d?e"); }

TEST(Printable, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(printable("\xC3"), "?") << "cut";
  EXPECT_EQ(printable("\xC0\xAF"), "??") << "overlong";
  EXPECT_EQ(printable("\xE0\x80\x80"), "???") << "overlong";
  EXPECT_EQ(printable("\xED\xA0\x80"), "???") << "a surrogate";
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "????") << "beyond Unicode";
  EXPECT_EQ(printable("\xC3("), "?(");
}

TEST(Printable, LeavesTextInAnyScriptAsItIs) {
  for (const char* text : {"grün", "日本", "🙂", "naïve café", "web-1"}) EXPECT_EQ(printable(text), text);
}

TEST(Columns, CountCharactersAndNotBytes) {
  EXPECT_EQ(columns_of("web"), 3U);
  EXPECT_EQ(columns_of("grün…"), 5U);
  EXPECT_EQ(columns_of(""), 0U);
}

TEST(Ascii, HasTheNearestSignInOneColumn) {
  EXPECT_EQ(in_ascii("✓ ✗ … · × → é"), "* ! ~ - x > ?");
  EXPECT_EQ(in_ascii("\x1b[32mdone\x1b[0m\n"), "\x1b[32mdone\x1b[0m\n");
  EXPECT_EQ(in_ascii("a\xFF"), "a?");
}

TEST(Table, LinesUpColumnsOfUtf8) {
  Table table({"NAME", "STATE"});
  table.add({"grün", "ok"});
  table.add({"web-12", {"broken", Style::bad}});
  EXPECT_EQ(table.render(false),
            "NAME    STATE\n"
            "grün    ok\n"
            "web-12  broken\n");
}

TEST(Table, ColoursDoNotCountAsColumns) {
  Table table({"A", "B"});
  table.add({{"xyz", Style::good}, "1"});
  EXPECT_EQ(table.render(true), "\x1b[2mA\x1b[0m    \x1b[2mB\x1b[0m\n\x1b[32mxyz\x1b[0m  1\n");
}

TEST(Table, CellsCannotSteerTheTerminalNorBreakTheLine) {
  Table table({"A", "B"});
  table.add({"x\x1b[31m", "one\ntwo"});
  EXPECT_EQ(table.render(false), "A       B\nx?[31m  one?two\n");
}

TEST(Table, LeavesNoBlanksAtLineEnds) {
  Table table({"A", "B", "C"});
  EXPECT_TRUE(table.empty());
  table.add({"x", "", ""});
  EXPECT_EQ(table.render(false), "A  B  C\nx\n");
}

TEST(Put, GivesFilesUtf8WhateverTheLocaleIs) {
  MemoryFile memory;
  put(memory.file(), "✓ done\n");
  EXPECT_EQ(memory.take(), "✓ done\n");
}

}  // namespace
}  // namespace k4t::cli
