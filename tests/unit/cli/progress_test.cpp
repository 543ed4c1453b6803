#include "cli/progress.hpp"

#include <gtest/gtest.h>

#include "memory_file.hpp"

namespace k4t::cli {
namespace {

using operation::Happening;

/// What one `apply` tells, shortened.
void tell_a_deploy(operation::Reporter& reporter) {
  reporter.happening({"witness local", "claiming", {}, 0, 0});
  reporter.happening({"witness local", "claimed", {}, 0, 0});
  reporter.happening({"gateway gw1", "observing", {}, 0, 0});
  reporter.happening({"gateway gw1", "observed", {}, 0, 0});
  reporter.stage("Start 1 instance");
  for (const char* state : {"creating", "starting", "started", "waiting until healthy", "healthy"}) {
    reporter.happening({"instance demo-web-a1 on n1", state, {}, 0, 0});
  }
  reporter.stage("Change gateways and DNS servers");
  reporter.happening({"gateway gw1", "preparing", {}, 0, 0});
  reporter.happening({"gateway gw1", "prepared", {}, 0, 0});
  reporter.happening({"witness local", "voted", {}, 0, 0});
  reporter.happening({"gateway gw1", "committing", {}, 0, 0});
  reporter.happening({"gateway gw1", "committed", "two workers retired", 0, 0});
}

TEST(Moods, TellEndsFromWorkUnderWay) {
  EXPECT_EQ(mood_of("creating"), Mood::active);
  EXPECT_EQ(mood_of("committed"), Mood::good);
  EXPECT_EQ(mood_of("failed"), Mood::bad);
  EXPECT_EQ(mood_of("refused"), Mood::bad);
}

TEST(Routine, IsWhatSucceedsAndNobodyAskedFor) {
  EXPECT_TRUE(is_routine({"witness w1", "voted", {}, 0, 0}));
  EXPECT_TRUE(is_routine({"dns ns1", "observing", {}, 0, 0}));
  EXPECT_FALSE(is_routine({"witness w1", "failed", {}, 0, 0}));
  EXPECT_FALSE(is_routine({"dns ns1", "committed", {}, 0, 0}));
}

TEST(LineReporter, WritesWhereWorkBeginsAndWhereItEnds) {
  MemoryFile memory;
  LineReporter reporter(memory.file(), LogLevel::warning);
  tell_a_deploy(reporter);
  EXPECT_EQ(memory.take(),
            "== Start 1 instance\n"
            "instance demo-web-a1 on n1: creating\n"
            "instance demo-web-a1 on n1: healthy\n"
            "== Change gateways and DNS servers\n"
            "gateway gw1: preparing\n"
            "gateway gw1: prepared\n"
            "gateway gw1: committed (two workers retired)\n");
}

TEST(LineReporter, WritesEveryStepWhenVerbose) {
  MemoryFile memory;
  LineReporter reporter(memory.file(), LogLevel::info);
  tell_a_deploy(reporter);
  const std::string all = memory.take();
  EXPECT_TRUE(all.starts_with("witness local: claiming\nwitness local: claimed\ngateway gw1: observing\n")) << all;
  EXPECT_NE(all.find("instance demo-web-a1 on n1: waiting until healthy\n"), std::string::npos) << all;
  EXPECT_NE(all.find("witness local: voted\n"), std::string::npos) << all;
}

TEST(LineReporter, WritesFailuresOfWhatIsRoutine) {
  MemoryFile memory;
  LineReporter reporter(memory.file(), LogLevel::warning);
  reporter.happening({"witness w1", "failed", "connection refused", 0, 0});
  reporter.happening({"gateway gw1", "failed", "connection refused", 0, 0});
  reporter.happening({"gateway gw1", "failed", "connection refused", 0, 0});
  EXPECT_EQ(memory.take(), "gateway gw1: failed (connection refused)\n");
  reporter.rest();
  EXPECT_EQ(memory.take(), "witness w1: failed (connection refused)\n");
}

TEST(LineReporter, SaysNothingOfAWitnessThatFailedAndThenDidNot) {
  MemoryFile memory;
  LineReporter reporter(memory.file(), LogLevel::warning);
  reporter.happening({"witness w1", "failed", "there is no register", 0, 0});
  reporter.happening({"witness w1", "claimed", {}, 0, 0});
  reporter.stage("next");
  EXPECT_EQ(memory.take(), "== next\n");
}

TEST(LineReporter, WritesNoLinePerByte) {
  MemoryFile memory;
  LineReporter reporter(memory.file(), LogLevel::info);
  for (std::uint64_t done = 0; done < 5; ++done) reporter.happening({"image web", "pulling", "layer 1", done, 5});
  reporter.happening({"image web", "present", {}, 0, 0});
  EXPECT_EQ(memory.take(), "image web: pulling\nimage web: present\n");
}

TEST(LineReporter, SaysEachWarningOnce) {
  MemoryFile memory;
  LineReporter reporter(memory.file(), LogLevel::warning);
  reporter.told("seen in the plan");
  reporter.warning("seen in the plan");
  reporter.warning("new");
  reporter.warning("new");
  EXPECT_EQ(memory.take(), "warning: new\n");
}

TEST(LineReporter, LogsFromItsLevelOnAndCannotBeSteered) {
  MemoryFile memory;
  LineReporter reporter(memory.file(), LogLevel::info);
  reporter.log(LogLevel::debug, "too much");
  reporter.log(LogLevel::info, "gw1: reload \x1b[2J");
  EXPECT_EQ(memory.take(), "log: gw1: reload ?[2J\n");
}

class Live : public ::testing::Test {
 protected:
  static Terminal terminal(unsigned width, unsigned height = 24) {
    Terminal terminal;
    terminal.interactive = true;
    terminal.width = width;
    terminal.height = height;
    return terminal;
  }
  MemoryFile memory_;
};

TEST_F(Live, ChangesAThingsLineInPlace) {
  LiveReporter reporter(memory_.file(), terminal(80), LogLevel::warning);
  reporter.stage("Start 1 instance");
  EXPECT_EQ(memory_.take(), "Start 1 instance\n");
  reporter.happening({"instance web-1", "creating", {}, 0, 0});
  EXPECT_EQ(memory_.take(), "  … instance web-1  creating\n");
  reporter.happening({"instance web-2", "creating", {}, 0, 0});
  EXPECT_EQ(memory_.take(), "\x1b[1A\x1b[J  … instance web-1  creating\n  … instance web-2  creating\n");
  reporter.happening({"instance web-1", "healthy", {}, 0, 0});
  EXPECT_EQ(memory_.take(), "\x1b[2A\x1b[J  ✓ instance web-1  healthy\n  … instance web-2  creating\n");
  reporter.happening({"instance web-2", "failed", "no room", 0, 0});
  EXPECT_EQ(memory_.take(), "\x1b[2A\x1b[J  ✓ instance web-1  healthy\n  ✗ instance web-2  failed · no room\n");
}

TEST_F(Live, ShowsWhatIsRoutineOnlyWhileItLasts) {
  LiveReporter reporter(memory_.file(), terminal(80), LogLevel::warning);
  reporter.happening({"witness w1", "claiming", {}, 0, 0});
  EXPECT_EQ(memory_.take(), "  … witness w1  claiming\n");
  reporter.happening({"witness w1", "claimed", {}, 0, 0});
  EXPECT_EQ(memory_.take(), "\x1b[1A\x1b[J");
  reporter.happening({"gateway gw1", "committed", {}, 0, 0});
  memory_.take();
  reporter.happening({"gateway gw1", "observing", {}, 0, 0});
  reporter.happening({"gateway gw1", "observed", {}, 0, 0});
  EXPECT_EQ(memory_.take(), "") << "it does not hide how the gateway's work ended";
}

TEST_F(Live, LeavesTheBlockAsItEnded) {
  LiveReporter reporter(memory_.file(), terminal(80), LogLevel::warning);
  reporter.happening({"dns ns1", "observing", {}, 0, 0});
  reporter.happening({"dns ns2", "failed", "no answer", 0, 0});
  memory_.take();
  reporter.rest();
  EXPECT_EQ(memory_.take(), "\x1b[2A\x1b[J  ✗ dns ns2  failed · no answer\n");
  reporter.stage("next");
  EXPECT_EQ(memory_.take(), "next\n");
}

TEST_F(Live, KeepsWarningsAndLogsAboveTheBlock) {
  LiveReporter reporter(memory_.file(), terminal(80), LogLevel::warning);
  reporter.happening({"dns ns1", "committing", {}, 0, 0});
  memory_.take();
  reporter.warning("slow");
  EXPECT_EQ(memory_.take(), "\x1b[1A\x1b[Jwarning: slow\n  … dns ns1  committing\n");
  reporter.warning("slow");
  reporter.log(LogLevel::info, "not shown");
  EXPECT_EQ(memory_.take(), "");
  reporter.log(LogLevel::error, "bad");
  EXPECT_EQ(memory_.take(), "\x1b[1A\x1b[Jbad\n  … dns ns1  committing\n");
}

TEST_F(Live, NoLineIsWiderThanTheTerminal) {
  for (const unsigned width : {1U, 5U, 6U, 12U, 20U, 31U, 40U, 200U}) {
    LiveReporter reporter(memory_.file(), terminal(width), LogLevel::warning);
    reporter.happening({"instance demo-web-a1b2c3 on n1", "draining", "3 connections left über alles", 0, 0});
    std::string line = memory_.take();
    ASSERT_TRUE(line.ends_with('\n'));
    line.pop_back();
    EXPECT_LT(columns_of(line), std::max(width, 6U)) << width << ": " << line;
    EXPECT_EQ(line, printable(line)) << "cut inside a character";
    reporter.rest();
    memory_.take();
  }
}

TEST_F(Live, NoBlockIsHigherThanTheTerminal) {
  LiveReporter reporter(memory_.file(), terminal(80, 6), LogLevel::warning);
  for (const char* name : {"a", "b", "c", "d"}) {
    reporter.happening({std::string("instance ") + name, "healthy", {}, 0, 0});
  }
  memory_.take();
  reporter.happening({"instance e", "creating", {}, 0, 0});
  EXPECT_EQ(
      memory_.take(),
      "\x1b[4A\x1b[J  … and 2 more\n  ✓ instance c  healthy\n  ✓ instance d  healthy\n  … instance e  creating\n");
}

TEST_F(Live, ShowsHowFarALongStepIs) {
  LiveReporter reporter(memory_.file(), terminal(80), LogLevel::warning);
  reporter.happening({"image web", "pulling", "layer 1", 10'000'000, 40'000'000});
  EXPECT_EQ(memory_.take(), "  … image web  pulling 25 % of 40.0 MB · layer 1\n");
}

TEST_F(Live, ColoursTheSignAndDimsTheWords) {
  Terminal colourful = terminal(80);
  colourful.colours = true;
  LiveReporter reporter(memory_.file(), colourful, LogLevel::warning);
  reporter.happening({"dns ns1", "committed", {}, 0, 0});
  EXPECT_EQ(memory_.take(), "  \x1b[32m✓\x1b[0m dns ns1  \x1b[2mcommitted\x1b[0m\n");
}

TEST_F(Live, IsAsciiWhereTheTerminalIs) {
  Terminal plain = terminal(80);
  plain.utf8 = false;
  LiveReporter reporter(memory_.file(), plain, LogLevel::warning);
  reporter.happening({"dns ns1", "failed", "no answer", 0, 0});
  EXPECT_EQ(memory_.take(), "  ! dns ns1  failed - no answer\n");
}

TEST_F(Live, ServersCannotSteerTheTerminal) {
  LiveReporter reporter(memory_.file(), terminal(80), LogLevel::warning);
  reporter.happening({"dns ns1\x1b[2J", "failed", "a\nb\xC2\x9B", 0, 0});
  EXPECT_EQ(memory_.take(), "  ✗ dns ns1?[2J  failed · a?b?\n");
}

TEST(HumanBytes, HaveOneDecimal) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(12'345'678), "12.3 MB");
  EXPECT_EQ(human_bytes(5'000'000'000'000'000), "5000.0 TB");
}

}  // namespace
}  // namespace k4t::cli
