#include "cli/exit_code.hpp"

#include <gtest/gtest.h>

namespace k4t::cli {
namespace {

using operation::Ending;

TEST(ExitCodes, SayHowAnOperationEnded) {
  EXPECT_EQ(static_cast<int>(exit_of(Ending::unchanged)), 0);
  EXPECT_EQ(static_cast<int>(exit_of(Ending::done)), 0);
  EXPECT_EQ(static_cast<int>(exit_of(Ending::failed)), 1);
  EXPECT_EQ(static_cast<int>(Exit::usage), 2);
  EXPECT_EQ(static_cast<int>(exit_of(Ending::lagging)), 3);
  EXPECT_EQ(static_cast<int>(exit_of(Ending::unfinished)), 4);
}

TEST(ExitCodes, ASingleCopyIsNoSuccessUnlessItIsAccepted) {
  operation::Report report;
  report.ending = Ending::done;
  EXPECT_EQ(static_cast<int>(exit_of(report, false)), 0);
  report.single_copy = true;
  EXPECT_EQ(static_cast<int>(exit_of(report, false)), 5);
  EXPECT_EQ(static_cast<int>(exit_of(report, true)), 0);
  report.ending = Ending::lagging;
  EXPECT_EQ(static_cast<int>(exit_of(report, false)), 3) << "who lags matters more";
  report.ending = Ending::unchanged;
  EXPECT_EQ(static_cast<int>(exit_of(report, false)), 0);
}

TEST(ExitCodes, SayThatRoomWasShort) {
  operation::Report report;
  report.left_undone = {"web: 1 instance stays on n1"};
  for (const auto ending : {Ending::done, Ending::unchanged}) {
    report.ending = ending;
    EXPECT_EQ(static_cast<int>(exit_of(report, false)), 7);
  }
  report.ending = Ending::lagging;
  EXPECT_EQ(static_cast<int>(exit_of(report, false)), 3) << "who lags matters more";
}

}  // namespace
}  // namespace k4t::cli
