#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host_test.hpp"

namespace k4t::transport {
namespace {

using namespace std::chrono_literals;
using k4t::testing::eventually;
using k4t::testing::Scratch;
using ::testing::HasSubstr;

class Process : public HostTest {
 protected:
  Result<Output> run(std::vector<std::string> argv, std::string input = {}) {
    Command command;
    command.argv = std::move(argv);
    command.input = std::move(input);
    return host->run(command);
  }
  Result<Output> sh(const std::string& script, std::chrono::milliseconds timeout = 10s) {
    return run_script(*host, script, {}, {}, timeout);
  }
};
K4T_EACH_HOST(Process);

class LocalProcess : public Process {};
INSTANTIATE_TEST_SUITE_P(Hosts, LocalProcess, ::testing::Values("local"));

/// A process that is dead but not yet reaped by its new parent counts as gone.
bool is_gone(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(file, text)) return true;
  return text.substr(text.rfind(')') + 2, 1) == "Z";
}

TEST_P(Process, ACommandThatRanIsASuccessWhateverItsExitCode) {
  const auto ended = sh("echo out; echo err >&2; exit 7");
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->exit_code, 7);
  EXPECT_EQ(ended->out, "out\n");
  EXPECT_EQ(ended->err, "err\n");
}

TEST_P(Process, ASignalIsReportedAs128PlusItsNumber) {
  const auto ended = sh("kill -TERM $$");
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->exit_code, 128 + SIGTERM);
}

TEST_P(Process, AMissingProgramIsNotFoundAndOneThatMayNotRunIsRefused) {
  EXPECT_EQ(run({"k4t-no-such-program"}).status(), Status::not_found);
  const Scratch scratch;
  const auto file = scratch.write("plain", "text", 0644);
  EXPECT_EQ(run({file.string()}).status(), Status::invalid_argument);
}

TEST_P(Process, ImpossibleArgumentsAreRefusedBeforeAnythingStarts) {
  EXPECT_EQ(run({}).status(), Status::invalid_argument);
  EXPECT_EQ(run({"echo", std::string("a\0b", 3)}).status(), Status::invalid_argument);
  Command command;
  command.argv = {"true"};
  command.env = {{"A=B", "c"}};
  EXPECT_EQ(host->run(command).status(), Status::invalid_argument);
}

TEST_P(Process, ArgumentsAndInputArriveByteForByte) {
  const std::string odd = "-n $HOME `id` 'x' \"y\"\n*";
  const auto script = run_script(*host, "printf %s \"$1\"; cat", {odd}, std::string("in\0put", 6), 10s);
  ASSERT_TRUE(script.ok());
  EXPECT_EQ(script->out, odd + std::string("in\0put", 6));
}

TEST_P(Process, MuchInputThatTheCommandNeverReadsDoesNotBlock) {
  const auto ended = run({"true"}, std::string(4u << 20, 'x'));
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->exit_code, 0);
}

TEST_P(LocalProcess, TheEnvironmentIsTheHostsPlusWhatWasAdded) {
  ::setenv("K4T_TEST_KEPT", "kept", 1);
  ::setenv("K4T_TEST_CHANGED", "old", 1);
  Command command;
  command.argv = {"sh", "-c", "echo $K4T_TEST_KEPT $K4T_TEST_CHANGED $K4T_TEST_NEW"};
  command.env = {{"K4T_TEST_CHANGED", "new"}, {"K4T_TEST_NEW", "added"}};
  const auto ended = host->run(command);
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->out, "kept new added\n");
}

TEST_P(Process, OutputBeyondTheLimitIsDroppedAndTheCommandStillEnds) {
  Command command;
  command.argv = {"sh", "-c", "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; exit 3"};
  command.output_limit_bytes = 1000;
  const auto ended = host->run(command);
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->exit_code, 3);
  EXPECT_EQ(ended->out.size(), 1000U);
  EXPECT_EQ(ended->err.size(), 1000U);
}

TEST_P(Process, TheTimeoutKillsTheWholeGroup) {
  const Scratch scratch;
  const std::string file = (scratch.path() / "pid").string();
  const auto begun = std::chrono::steady_clock::now();
  const auto late =
      run_script(*host, "sleep 600 & echo $! > \"$1\"; wait", {file}, {}, std::chrono::milliseconds(sshd ? 3000 : 500));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 8s);
  ASSERT_EQ(late.status(), Status::deadline);
  pid_t sleeper = 0;
  std::ifstream(file) >> sleeper;
  ASSERT_GT(sleeper, 0);
  EXPECT_TRUE(eventually([&] { return is_gone(sleeper); }));
}

TEST_P(Process, ACancelledCommandIsKilled) {
  const auto begun = std::chrono::steady_clock::now();
  Command command;
  command.argv = {"sleep", "600"};
  command.cancelled = [&] { return std::chrono::steady_clock::now() - begun > 100ms; };
  EXPECT_EQ(host->run(command).status(), Status::deadline);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
}

TEST_P(Process, ADaemonThatKeepsThePipesOpenDoesNotHoldUpTheCaller) {
  const auto ended = sh("sleep 5 & echo $!");
  ASSERT_TRUE(ended.ok());
  const pid_t daemon = std::stoi(ended->out);
  EXPECT_FALSE(is_gone(daemon));
  ::kill(daemon, SIGKILL);
}

TEST_P(Process, NothingButTheThreeChannelsIsInherited) {
  const int leaky = ::open("/dev/null", O_RDONLY);
  const auto ended = sh("ls /proc/self/fd | wc -l");
  ::close(leaky);
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(std::stoi(ended->out), 4) << "0, 1, 2 and the one with which ls reads the folder";
}

TEST_P(LocalProcess, AProgramWithoutChannelsOfItsOwnCanRunCommandsToo) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int fd : {0, 1, 2}) ::close(fd);
    const auto ended = run({"sh", "-c", "cat; echo err >&2"}, "in");
    ::_exit(ended.ok() && ended->out == "in" && ended->err == "err\n" ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_P(LocalProcess, NoDescriptorStaysOpenAfterwards) {
  const auto open_now = [] {
    const std::filesystem::directory_iterator entries("/proc/self/fd");
    return std::distance(begin(entries), end(entries));
  };
  static_cast<void>(sh("true"));
  const auto before = open_now();
  for (int round = 0; round < 20; ++round) {
    static_cast<void>(sh("true"));
    static_cast<void>(run({"k4t-no-such-program"}));
    static_cast<void>(sh("sleep 60", 5ms));
  }
  EXPECT_EQ(open_now(), before);
}

TEST_P(Process, AnIgnoredSignalOfOursIsNotTheCommands) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const auto ended = sh("kill -PIPE $$; echo survived");
  std::signal(SIGPIPE, before);
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->exit_code, 128 + SIGPIPE);
}

TEST_P(Process, CommandsOfSeveralThreadsDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  std::array<bool, 8> right{};
  for (std::size_t n = 0; n < right.size(); ++n) {
    threads.emplace_back([this, &right, n] {
      const auto ended = run({"sh", "-c", "cat; exit " + std::to_string(n)}, std::to_string(n));
      right.at(n) = ended.ok() && ended->exit_code == static_cast<int>(n) && ended->out == std::to_string(n);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(right, ::testing::Each(true));
}

TEST_P(Process, VariablesAreAdded) {
  Command command;
  command.argv = {"sh", "-c", "printf '%s|' \"$K4T_TEST_A\" \"$K4T_TEST_B\""};
  command.env = {{"K4T_TEST_A", "a 'b' $HOME\n*"}, {"K4T_TEST_B", ""}};
  const auto ended = host->run(command);
  ASSERT_TRUE(ended.ok()) << ended.error().message;
  EXPECT_EQ(ended->out, "a 'b' $HOME\n*||");
}

TEST_P(Process, ABuiltinOfTheShellIsNotTheProgramOfThatName) {
  const auto ended = run({"echo", "a\\tb"});
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->out, "a\\tb\n");
  EXPECT_EQ(run({"exit"}).status(), Status::not_found);
}

TEST_P(Process, ManyMegabytesGoThroughInBothDirections) {
  std::string input(20u << 20, 'x');
  for (std::size_t i = 0; i < input.size(); i += 4096) input[i] = static_cast<char>(i >> 12);
  Command command;
  command.argv = {"cat"};
  command.input = input;
  command.output_limit_bytes = 64u << 20;
  const auto ended = host->run(command);
  ASSERT_TRUE(ended.ok()) << ended.error().message;
  EXPECT_TRUE(ended->out == input);
}

TEST(Host, WhereNamesTheMachine) {
  EXPECT_EQ((*open_host("local"))->name(), "local");
  EXPECT_EQ((*open_host("ssh://ops@gw.example.net:2222"))->name(), "ssh://ops@gw.example.net:2222");
  EXPECT_EQ((*open_host("ssh://[2001:db8::1]:22"))->name(), "ssh://[2001:db8::1]");
  for (const char* where :
       {"", "gw.example.net", "telnet://gw.example.net", "ssh://", "ssh://-oProxyCommand=x", "ssh://a b", "ssh://gw:0",
        "ssh://gw:65536", "ssh://gw:22x", "ssh://u:p@gw", "ssh://[::1", "ssh://-u@gw", "ssh://gw/path"}) {
    const auto other = open_host(where);
    ASSERT_EQ(other.status(), Status::invalid_argument) << where;
    EXPECT_THAT(other.error().message, HasSubstr(where));
  }
}

}  // namespace
}  // namespace k4t::transport
