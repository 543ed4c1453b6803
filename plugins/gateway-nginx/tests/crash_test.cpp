#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "rig.hpp"

/// The driver's process and its script on nginx's host die together at every command that touches the disk. Whatever is
/// left, the state is the one before or the one after, and the next commit completes it.

namespace k4t::nginx::testing {
namespace {

namespace fs = std::filesystem;

class Crash : public Rig {
 protected:
  void SetUp() override {
    Rig::SetUp();
    if (IsSkipped()) return;
    // `sleep` begins right after nginx was asked to reload.
    for (const char* program : {"flock", "mv", "sync", "ln", "tail", "rm", "sleep", "nginx"}) {
      const std::string real = k4t::testing::find_program(program);
      scratch_.write("bin/" + std::string(program),
                     "#!/bin/sh\n"
                     "count=$(($(cat \"$K4T_TEST_COUNT\") + 1))\n"
                     "echo $count > \"$K4T_TEST_COUNT\"\n"
                     "if [ $count = \"$K4T_TEST_AT\" ]; then\n"
                     "  [ \"$K4T_TEST_WHEN\" = before ] || " +
                         real +
                         " \"$@\"\n"
                         "  kill -9 \"$K4T_TEST_DRIVER\" $PPID\n"
                         "  exit 1\n"
                         "fi\n"
                         "exec " +
                         real + " \"$@\"\n",
                     0755);
    }
  }

  /// Runs `work` in a process that dies at the n-th command. False: it ended before that.
  template <class Work>
  bool dies(int command, const std::string& when, Work&& work) {
    const auto count = scratch_.write("count", "0\n");
    const pid_t child = ::fork();
    if (child == 0) {
      ::setenv("PATH", ((scratch_.path() / "bin").string() + ":" + std::getenv("PATH")).c_str(), 1);
      ::setenv("K4T_TEST_COUNT", count.c_str(), 1);
      ::setenv("K4T_TEST_AT", std::to_string(command).c_str(), 1);
      ::setenv("K4T_TEST_WHEN", when.c_str(), 1);
      ::setenv("K4T_TEST_DRIVER", std::to_string(::getpid()).c_str(), 1);
      ::_exit(work() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) return true;
    EXPECT_EQ(WEXITSTATUS(status), 0) << "failed without dying at command " << command;
    return false;
  }

  /// As a master that just started would: observe, commit, and prepare again if the stage was lost.
  void converge(const Register& seen, const Register& target, const gateway::State& state) {
    driver_ = open();
    const auto now = observe();
    ASSERT_TRUE(now) << text_of(now);
    ASSERT_TRUE(now->stored == seen || now->stored == target);
    ASSERT_NE(now->content, Content::drifted);
    auto outcome = commit(seen, target);
    if (outcome.status() == Status::not_found) {
      ASSERT_TRUE(prepare(now->stored, target, state));
      outcome = commit(now->stored, target);
    }
    ASSERT_TRUE(outcome) << text_of(outcome);
    ASSERT_EQ(Json(*observe()), Json(Observation{target, target, Content::clean, false, {}, {}}));
  }
};

TEST_F(Crash, ACommitKilledAtAnyStepIsCompletedByTheNext) {
  const std::vector<gateway::Endpoint> endpoints{serve("0"), serve("1")};
  Register one = deploy(web({endpoints[0]}));
  for (const char* when : {"before", "after"}) {
    int step = 1;
    for (bool died = true; died; ++step) {
      SCOPED_TRACE(std::string("killed ") + when + " command " + std::to_string(step));
      const Register two = next();
      const auto state = web({endpoints[static_cast<std::size_t>(two.version) % 2]});
      ASSERT_TRUE(prepare(one, two, state));
      died = dies(step, when, [&] { return commit(one, two).ok(); });
      ASSERT_NO_FATAL_FAILURE(converge(one, two, state));
      EXPECT_EQ(request(port_, "app.example.net", "/").body, std::to_string(two.version % 2));
      one = two;
    }
    EXPECT_GT(step, 10);
  }
}

TEST_F(Crash, APrepareKilledAtAnyStepChangesNothing) {
  const Register one = deploy(web({}));
  int step = 1;
  for (bool died = true; died; ++step) {
    SCOPED_TRACE("killed before command " + std::to_string(step));
    const Register two = next();
    died = dies(step, "before", [&] { return prepare(one, two, web({})).ok(); });
    const auto now = observe();
    ASSERT_TRUE(now) << text_of(now);
    EXPECT_EQ(now->stored, one);
    EXPECT_EQ(now->served, one);
    EXPECT_EQ(now->content, Content::clean);
    EXPECT_OK(prepare(one, two, web({})));
  }
  EXPECT_GT(step, 4);
}

}  // namespace
}  // namespace k4t::nginx::testing
