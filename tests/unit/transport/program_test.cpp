#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "host_test.hpp"

namespace k4t::transport {
namespace {

using namespace std::chrono_literals;
using k4t::testing::eventually;
using k4t::testing::Scratch;
using ::testing::HasSubstr;

/// Answers each line with itself, until there are no more.
constexpr const char* echo = "while read -r line; do echo \"got $line\"; done; echo bye";

class Program : public HostTest {
 protected:
  Result<std::unique_ptr<Stream>> start(const std::string& script, const std::string& argument = {}) {
    Command command;
    command.argv = {"/bin/sh", "-c", script, "sh", argument};
    return host->start(command);
  }

  /// Reads until the text ends with `end`; what was read so far where it does not come.
  static std::string read_until(Stream& stream, const std::string& end) {
    std::string all;
    while (!all.ends_with(end)) {
      const auto piece = stream.read(100, 10s);
      if (!piece || piece->empty()) break;
      all += *piece;
    }
    return all;
  }
};
K4T_EACH_HOST(Program);

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

TEST_P(Program, AnswersAgainAndAgainAndEndsWithItsInput) {
  const auto program = start(echo);
  ASSERT_TRUE(program.ok()) << program.error().message;
  for (const std::string line : {"one", "two", "three"}) {
    ASSERT_TRUE((*program)->write(line + "\n", 5s).ok());
    EXPECT_EQ(read_until(**program, "\n"), "got " + line + "\n");
  }
  ASSERT_TRUE((*program)->close_write().ok());
  EXPECT_EQ(read_until(**program, "bye\n"), "bye\n");
  const auto end = (*program)->read(10, 5s);
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(*end, "");
}

TEST_P(Program, ManyMegabytesGoThroughInBothDirections) {
  const auto program = start("exec cat");
  ASSERT_TRUE(program.ok()) << program.error().message;
  std::string sent(8u << 20, 'x');
  for (std::size_t i = 0; i < sent.size(); i += 4096) sent[i] = static_cast<char>(i >> 12);
  std::string got;
  for (std::size_t at = 0; at < sent.size(); at += 32768) {
    ASSERT_TRUE((*program)->write(sent.substr(at, 32768), 10s).ok());
    while (got.size() < at + 32768) {
      const auto piece = (*program)->read(65536, 10s);
      ASSERT_TRUE(piece.ok() && !piece->empty());
      got += *piece;
    }
  }
  EXPECT_TRUE(got == sent);
}

TEST_P(Program, ArgumentsAndVariablesArriveByteForByteAndNoDescriptorBesides) {
  const std::string odd = "-n $HOME `id` 'x' \"y\"\n*";
  Command command;
  command.argv = {"/bin/sh", "-c", "printf '%s|%s|' \"$1\" \"$K4T_TEST_A\"; ls /proc/self/fd | wc -l", "sh", odd};
  command.env = {{"K4T_TEST_A", "a 'b' $HOME\n*"}};
  const auto program = host->start(command);
  ASSERT_TRUE(program.ok()) << program.error().message;
  EXPECT_EQ(read_until(**program, "4\n"), odd + "|a 'b' $HOME\n*|4\n");
}

TEST_P(Program, OneThatDiesIsUnavailableWithItsLastWords) {
  for (const std::string how : {"exit 3", "kill -KILL $$"}) {
    const auto program = start("read -r line; echo answer; echo 'the last words' >&2; " + how);
    ASSERT_TRUE(program.ok()) << program.error().message;
    EXPECT_EQ((*program)->read(10, 50ms).status(), Status::deadline) << "silence is not death";
    ASSERT_TRUE((*program)->write("go\n", 5s).ok());
    EXPECT_EQ(read_until(**program, "\n"), "answer\n") << "what it said before is not lost";
    const auto dead = (*program)->read(10, 5s);
    ASSERT_EQ(dead.status(), Status::unavailable) << how;
    EXPECT_THAT(dead.error().detail, HasSubstr("the last words"));
    EXPECT_THAT(dead.error().message, HasSubstr(how == "exit 3" ? "exit code 3" : "/bin/sh"));
    ASSERT_TRUE(eventually([&] { return !(*program)->write("more\n", 1s).ok(); }));
    EXPECT_EQ((*program)->write("more\n", 1s).status(), Status::unavailable);
  }
}

TEST_P(Program, WhatIsAbsentOrRefusedIsToldAtTheStart) {
  Command command;
  command.argv = {"k4t-no-such-program"};
  EXPECT_EQ(host->start(command).status(), Status::not_found);
  command.argv = {"/k4t-no-such-folder/program"};
  EXPECT_EQ(host->start(command).status(), Status::not_found);
  const Scratch scratch;
  command.argv = {scratch.write("plain", "text", 0644).string()};
  EXPECT_EQ(host->start(command).status(), Status::invalid_argument);
  command.argv = {"cat"};
  command.input = "text";
  EXPECT_EQ(host->start(command).status(), Status::invalid_argument);
  command.input.clear();
  command.timeout = 0ms;
  EXPECT_EQ(host->start(command).status(), Status::deadline);
  command.timeout = 5s;
  command.cancelled = [] { return true; };
  EXPECT_EQ(host->start(command).status(), Status::deadline);
}

TEST_P(Program, OneThatIsBusyWhenTheStreamIsClosedFinishesWhatItHasBegun) {
  const Scratch scratch;
  const auto file = scratch.path() / "done";
  {
    const auto program = start("read -r line; echo begun; sleep 0.5; cat; echo done >\"$1\"", file.string());
    ASSERT_TRUE(program.ok()) << program.error().message;
    ASSERT_TRUE((*program)->write("go\n", 5s).ok());
    ASSERT_EQ(read_until(**program, "\n"), "begun\n");
  }
  EXPECT_TRUE(eventually([&] { return Scratch::read(file) == "done\n"; }));
}

TEST_P(Program, LeavesNoDescriptorsAndNoProcessesBehind) {
  const auto round = [&] {
    const auto program = start("echo $$; exec cat");
    ASSERT_TRUE(program.ok()) << program.error().message;
    const pid_t pid = std::stoi(read_until(**program, "\n"));
    EXPECT_EQ(::kill(pid, 0), 0);
    ASSERT_TRUE((*program)->close_write().ok());
    EXPECT_EQ(read_until(**program, "x"), "");
    EXPECT_TRUE(eventually([&] { return ::kill(pid, 0) != 0; })) << pid;
  };
  round();
  const std::size_t before = open_descriptors();
  for (int n = 0; n < 5; ++n) round();
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(Program, ALotOnStandardErrorBlocksNothingAndItsEndIsKept) {
  const auto program = start("head -c 3000000 /dev/zero >&2; echo quiet; read -r line; echo 'very last' >&2; exit 1");
  ASSERT_TRUE(program.ok()) << program.error().message;
  EXPECT_EQ(read_until(**program, "\n"), "quiet\n");
  ASSERT_TRUE((*program)->write("go\n", 5s).ok());
  const auto dead = (*program)->read(10, 5s);
  ASSERT_EQ(dead.status(), Status::unavailable);
  EXPECT_LE(dead.error().detail.size(), 4096U);
  EXPECT_TRUE(dead.error().detail.ends_with("very last\n"));
}

TEST_P(Program, DiesWithTheProgramThatStartedIt) {
  const Scratch scratch;
  const auto file = scratch.path() / "pid";
  const pid_t child = ::fork();
  if (child == 0) {
    const auto own = another();
    Command command;
    command.argv = {"/bin/sh", "-c", "echo $$ >\"$1\"; exec cat", "sh", file.string()};
    const auto program = own->start(command);
    for (;;) ::pause();
  }
  pid_t pid = 0;
  ASSERT_TRUE(eventually([&] { return static_cast<bool>(std::ifstream(file) >> pid); }));
  EXPECT_EQ(::kill(pid, 0), 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(eventually([&] {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string number;
    std::string name;
    std::string state;
    return !(stat >> number >> name >> state) || state == "Z";
  }));
}

class SshProgram : public Program {
 protected:
  void serve(const std::string& settings) {
    sshd.emplace(settings);
    sshd->start();
    host = another();
  }
  void SetUp() override {
    if (!testing::SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed, or this is not root");
  }
};
INSTANTIATE_TEST_SUITE_P(Hosts, SshProgram, ::testing::Values("ssh"));

TEST_P(SshProgram, ProgramsThatStayNeverTakeCommandsThePlace) {
  serve("MaxSessions 1");
  std::vector<std::unique_ptr<Stream>> programs;
  for (int n = 0; n < 3; ++n) {
    auto program = start(echo);
    ASSERT_TRUE(program.ok()) << program.error().message;
    programs.push_back(*std::move(program));
  }
  EXPECT_TRUE(run_script(*host, "true", {}, {}, 10s).ok());
  for (auto& program : programs) {
    ASSERT_TRUE(program->write("line\n", 5s).ok());
    EXPECT_EQ(read_until(*program, "\n"), "got line\n");
  }
}

TEST_P(SshProgram, ACutConnectionIsUnavailableNeverTheEnd) {
  serve({});
  const auto program = start(echo);
  ASSERT_TRUE(program.ok()) << program.error().message;
  sshd->cut_connections();
  EXPECT_EQ((*program)->read(10, 10s).status(), Status::unavailable);
  EXPECT_TRUE(start(echo).ok()) << "the next one has a connection of its own";
}

TEST_P(SshProgram, AStartThatTakesTooLongIsADeadline) {
  serve({});
  sshd->freeze();
  Command command;
  command.argv = {"cat"};
  command.timeout = 300ms;
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_FALSE(host->start(command).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  sshd->thaw();
}

TEST_P(SshProgram, WhatTheLoginShellPrintsIsNotTheProgramsAnswer) {
  serve("ForceCommand echo hello from a start-up file; eval \"$SSH_ORIGINAL_COMMAND\"");
  const auto program = start(echo);
  ASSERT_TRUE(program.ok()) << program.error().message;
  ASSERT_TRUE((*program)->write("line\n", 5s).ok());
  EXPECT_EQ(read_until(**program, "\n"), "got line\n");
}

}  // namespace
}  // namespace k4t::transport
