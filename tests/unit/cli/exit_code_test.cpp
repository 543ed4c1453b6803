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

}  // namespace
}  // namespace k4t::cli
