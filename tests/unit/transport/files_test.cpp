#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host_test.hpp"

namespace k4t::transport {
namespace {

namespace fs = std::filesystem;
using k4t::testing::Scratch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Files : public HostTest {
 protected:
  [[nodiscard]] std::string path(const std::string& name) const { return (scratch.path() / name).string(); }
  [[nodiscard]] std::vector<std::string> names() const { return *host->list_folder(scratch.path().string()); }

  Scratch scratch;
};
K4T_EACH_HOST(Files);

TEST_P(Files, WhatWasPutIsReadBackByteForByteWithItsMode) {
  const std::string bytes("a\0b\n", 4);
  ASSERT_TRUE(host->put_file(path("f"), bytes, 0640).ok());
  EXPECT_EQ(*host->read_file(path("f")), bytes);
  EXPECT_EQ(fs::status(path("f")).permissions(), static_cast<fs::perms>(0640));
  ASSERT_TRUE(host->put_file(path("f"), "", 0600).ok());
  EXPECT_EQ(*host->read_file(path("f")), "");
  EXPECT_EQ(fs::status(path("f")).permissions(), static_cast<fs::perms>(0600));
  EXPECT_THAT(names(), ElementsAre("f"));
}

TEST_P(Files, AbsentIsNotFoundAndUnreadableIsNot) {
  EXPECT_EQ(host->read_file(path("none")).status(), Status::not_found);
  EXPECT_EQ(host->read_file(path("none/none")).status(), Status::not_found);
  EXPECT_EQ(host->read_file(scratch.path().string()).status(), Status::invalid_argument);
  EXPECT_EQ(host->read_file("").status(), Status::invalid_argument);
  EXPECT_EQ(host->read_file(std::string("/etc\0/passwd", 12)).status(), Status::invalid_argument);
  EXPECT_EQ(host->put_file(path("none/f"), "x", 0644).status(), Status::not_found);
  EXPECT_EQ(host->list_folder(path("none")).status(), Status::not_found);
}

TEST_P(Files, ANamedPipeIsRefusedInsteadOfWaitedFor) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0644), 0);
  EXPECT_EQ(host->read_file(path("fifo")).status(), Status::invalid_argument);
}

TEST_P(Files, SwapComparesTheWholeContent) {
  ASSERT_TRUE(host->swap_file(path("r"), std::nullopt, "one", 0600).ok());
  EXPECT_EQ(host->swap_file(path("r"), std::nullopt, "two", 0600).status(), Status::conflict);
  EXPECT_EQ(host->swap_file(path("r"), "one ", "two", 0600).status(), Status::conflict);
  EXPECT_EQ(host->swap_file(path("q"), "one", "two", 0600).status(), Status::conflict);
  EXPECT_EQ(*host->read_file(path("r")), "one");
  ASSERT_TRUE(host->swap_file(path("r"), "one", "two", 0600).ok());
  EXPECT_EQ(*host->read_file(path("r")), "two");
}

TEST_P(Files, ARefusedSwapShowsWhatIsThereInstead) {
  const std::string present = "one\ntwo \n" + std::string(100'000, 'x');
  ASSERT_TRUE(host->put_file(path("r"), present, 0600).ok());
  EXPECT_EQ(host->swap_file(path("r"), "three", "four", 0600).error().detail, present);
  EXPECT_EQ(host->swap_file(path("q"), "three", "four", 0600).error().detail, "");
}

TEST_P(Files, WhatASwapReplacesStaysUnderTheNameToKeep) {
  ASSERT_TRUE(host->swap_file(path("r"), std::nullopt, "one", 0600, {}, path("kept")).ok());
  EXPECT_THAT(names(), ElementsAre("r", "r.lock")) << "nothing was replaced";
  EXPECT_EQ(host->swap_file(path("r"), "two", "three", 0600, {}, path("kept")).status(), Status::conflict);
  EXPECT_THAT(names(), ElementsAre("r", "r.lock")) << "nothing was changed";
  ASSERT_TRUE(host->swap_file(path("r"), "one", "two", 0600, {}, path("kept")).ok());
  EXPECT_EQ(*host->read_file(path("kept")), "one");
  EXPECT_EQ(*host->read_file(path("r")), "two");
  ASSERT_TRUE(host->swap_file(path("r"), "two", "three", 0600, {}, path("kept")).ok());
  EXPECT_EQ(*host->read_file(path("kept")), "one") << "what has the name is left as it is";
  EXPECT_EQ(host->swap_file(path("r"), "three", "four", 0600, {}, path("none/kept")).status(), Status::not_found);
  EXPECT_EQ(*host->read_file(path("r")), "three") << "what cannot be kept is not replaced";
}

TEST_P(Files, AnEmptyFileIsNotAnAbsentOne) {
  ASSERT_TRUE(host->put_file(path("r"), "", 0600).ok());
  EXPECT_EQ(host->swap_file(path("r"), std::nullopt, "x", 0600).status(), Status::conflict);
  EXPECT_TRUE(host->swap_file(path("r"), "", "x", 0600).ok());
}

TEST_P(Files, OfSeveralSwappersExactlyOneWinsEachRound) {
#ifdef __SANITIZE_THREAD__
  if (sshd) GTEST_SKIP() << "the thread sanitizer follows no process that starts threads after a fork";
#endif
  constexpr int processes = 4;
  const int rounds = sshd ? 4 : 25;
  ASSERT_TRUE(host->put_file(path("r"), "0", 0600).ok());
  std::vector<pid_t> children;
  for (int n = 0; n < processes; ++n) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto own = another();
      int won = 0;
      while (won < rounds) {
        const auto seen = own->read_file(path("r"));
        if (!seen) ::_exit(1);
        const auto swapped = own->swap_file(path("r"), *seen, std::to_string(std::stoi(*seen) + 1), 0600);
        if (swapped) ++won;
        if (!swapped && swapped.status() != Status::conflict) ::_exit(2);
      }
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(*host->read_file(path("r")), std::to_string(processes * rounds));
}

TEST_P(Files, ThreadsOfOneProcessExcludeEachOtherToo) {
  constexpr std::size_t threads = 4;
  std::array<bool, threads> won{};
  std::vector<std::thread> running;
  for (std::size_t n = 0; n < threads; ++n) {
    running.emplace_back(
        [&, n] { won.at(n) = host->swap_file(path("r"), std::nullopt, std::to_string(n), 0600).ok(); });
  }
  for (auto& thread : running) thread.join();
  EXPECT_EQ(std::count(won.begin(), won.end(), true), 1);
}

TEST_P(Files, ASwapperThatDiesLeavesNoLockBehind) {
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int lock = ::open((path("r") + ".lock").c_str(), O_RDONLY | O_CREAT, 0600);
    const bool held = ::flock(lock, LOCK_EX) == 0;
    [[maybe_unused]] const auto told = ::write(ready[1], held ? "y" : "n", 1);
    ::pause();
  }
  char held = 0;
  ASSERT_EQ(::read(ready[0], &held, 1), 1);
  ASSERT_EQ(held, 'y');
  std::thread killer([child] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ::kill(child, SIGKILL);
  });
  EXPECT_TRUE(host->swap_file(path("r"), std::nullopt, "x", 0600).ok());
  killer.join();
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_P(Files, AFullDiskIsUnavailableAndTheOldContentStays) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting a small file system needs root";
  const std::string small = path("small");
  ASSERT_TRUE(host->make_folder(small, 0755).ok());
  if (::mount("k4t-test", small.c_str(), "tmpfs", 0, "size=64k") != 0) GTEST_SKIP() << "cannot mount a tmpfs";
  EXPECT_TRUE(host->put_file(small + "/f", "old", 0644).ok());
  const auto full = host->put_file(small + "/f", std::string(1u << 20, 'x'), 0644);
  EXPECT_EQ(full.status(), Status::unavailable);
  EXPECT_THAT(full.ok() ? "" : full.error().message, HasSubstr("No space left"));
  EXPECT_EQ(*host->read_file(small + "/f"), "old");
  EXPECT_THAT(*host->list_folder(small), ElementsAre("f"));
  ::umount(small.c_str());
}

TEST_P(Files, FoldersAreMadeWithTheirParentsAndTwiceIsTheSame) {
  ASSERT_TRUE(host->make_folder(path("a/b/c"), 0750).ok());
  ASSERT_TRUE(host->make_folder(path("a/b/c"), 0750).ok());
  ASSERT_TRUE(host->make_folder(path("a/b/d/"), 0750).ok());
  EXPECT_EQ(fs::status(path("a/b/c")).permissions(), static_cast<fs::perms>(0750));
  EXPECT_THAT(*host->list_folder(path("a/b")), ElementsAre("c", "d"));
  scratch.write("file", "x");
  EXPECT_EQ(host->make_folder(path("file"), 0755).status(), Status::invalid_argument);
}

TEST_P(Files, RemovingIsIdempotentAndTakesTheLinkNotItsTarget) {
  scratch.write("file", "x");
  fs::create_symlink("file", path("link"));
  EXPECT_TRUE(host->remove_file(path("link")).ok());
  EXPECT_TRUE(host->remove_file(path("link")).ok());
  EXPECT_THAT(names(), ElementsAre("file"));
  fs::create_directory(path("folder"));
  EXPECT_EQ(host->remove_file(path("folder")).status(), Status::invalid_argument);
}

TEST_P(Files, AWaitForTheLockEndsWithItsCallersPatience) {
  const int lock = ::open((path("r") + ".lock").c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  const auto begun = std::chrono::steady_clock::now();
  Limits limits;
  limits.timeout = std::chrono::milliseconds(600);
  const auto swapped = host->swap_file(path("r"), std::nullopt, "x", 0600, limits);
  EXPECT_THAT(swapped.status(), ::testing::AnyOf(Status::deadline, Status::busy));
  limits.timeout = std::chrono::seconds(20);
  limits.cancelled = [&] { return std::chrono::steady_clock::now() - begun > std::chrono::milliseconds(900); };
  EXPECT_EQ(host->swap_file(path("r"), std::nullopt, "x", 0600, limits).status(), Status::deadline);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  EXPECT_FALSE(fs::exists(path("r")));
  ::close(lock);
}

TEST_P(Files, SweepingTakesOldTemporariesAndNothingElse) {
  for (const char* name : {".f.k4t-AbCdEf", ".g.k4t-123456", ".hidden", "f", ".f.k4t-AbCdEf.txt"}) {
    scratch.write(name, "x");
    if (std::string(name) == ".g.k4t-123456") continue;
    fs::last_write_time(path(name), fs::file_time_type::clock::now() - std::chrono::hours(2));
  }
  ASSERT_TRUE(host->sweep_folder(scratch.path().string()).ok());
  EXPECT_THAT(names(), ElementsAre(".f.k4t-AbCdEf.txt", ".g.k4t-123456", ".hidden", "f"));
  EXPECT_EQ(host->sweep_folder(path("none")).status(), Status::not_found);
}

TEST_P(Files, AnyNameIsOneName) {
  const std::string odd = "-n $HOME `id` 'x' \"y\"\n*\\\xff";
  ASSERT_TRUE(host->put_file(path(odd), "odd", 0600).ok());
  ASSERT_TRUE(host->swap_file(path(odd), "odd", "odder", 0600).ok());
  EXPECT_EQ(*host->read_file(path(odd)), "odder");
  EXPECT_THAT(names(), ElementsAre(odd, odd + ".lock"));
  ASSERT_TRUE(host->make_folder(path("-p " + odd), 0700).ok());
  EXPECT_TRUE(fs::is_directory(path("-p " + odd)));
  ASSERT_TRUE(host->remove_file(path(odd)).ok());
  EXPECT_FALSE(fs::exists(path(odd)));
}

TEST_P(Files, MegabytesArriveWhole) {
  std::string bytes;
  for (std::size_t i = 0; i < (3u << 20); ++i) bytes += static_cast<char>(i * 31 + i / 257);
  ASSERT_TRUE(host->put_file(path("big"), bytes, 0600).ok());
  EXPECT_EQ(Scratch::read(path("big")), bytes);
  const auto back = host->read_file(path("big"));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_TRUE(*back == bytes);
}

}  // namespace
}  // namespace k4t::transport
