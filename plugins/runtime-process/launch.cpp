#include "launch.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <sstream>
#include <system_error>

namespace k4t::process {
namespace {

constexpr const char* kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

bool is_program(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

[[noreturn]] void give_up(int error_fd, const std::string& what) {
  const std::string text = what + ": " + std::generic_category().message(errno);
  [[maybe_unused]] const auto written = ::write(error_fd, text.data(), text.size());
  ::_exit(127);
}

/// A view of the file system of its own, where the spec asks for one.
void confine(const Birth& birth, int error_fd) {
  if (birth.resolver_file.empty() && !birth.read_only) return;
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    give_up(error_fd, "cannot give it a file system view of its own");
  }
  if (!birth.resolver_file.empty() &&
      ::mount(birth.resolver_file.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) != 0) {
    give_up(error_fd, "cannot set its name servers");
  }
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (birth.read_only && ::mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes) != 0) {
    give_up(error_fd, "cannot make its file system read-only");
  }
}

void take_account(const Account& account, int error_fd) {
  if (!account.change) return;
  if (::setgroups(account.groups.size(), account.groups.data()) != 0 || ::setgid(account.gid) != 0 ||
      ::setuid(account.uid) != 0) {
    give_up(error_fd, "cannot take its user's rights");
  }
}

void reset_signals() {
  for (int number = 1; number < SIGRTMAX; ++number) std::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);  // NOLINT(concurrency-mt-unsafe): a forked child has one thread
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> raw;
  for (const auto& text : texts) raw.push_back(const_cast<char*>(text.c_str()));
  raw.push_back(nullptr);
  return raw;
}

}  // namespace

std::string find_in_path(const std::string& name, const std::string& path) {
  if (name.find('/') != std::string::npos) return is_program(name) ? name : std::string();
  std::istringstream folders(path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string candidate = folder + "/" + name;
    if (folder.starts_with('/') && is_program(candidate)) return candidate;
  }
  return {};
}

Result<Birth> prepare_birth(const InstanceFolder& folder, const Launch& launch, std::vector<std::string> argv,
                            const Cgroups& cgroups) {
  Birth birth;
  K4T_ASSIGN(birth.account, find_account(launch.spec.user));
  auto env = launch.spec.env;
  env.try_emplace("PATH", kPath);
  env.try_emplace("HOME", birth.account.home);
  birth.program = find_in_path(argv.at(0), env["PATH"]);
  if (birth.program.empty()) {
    return Error{Status::invalid_argument, "there is no program '" + argv[0] + "' on this node", {}};
  }
  for (const auto& [name, value] : env) birth.env.push_back(name + "=" + value);
  birth.argv = std::move(argv);
  const bool names_servers = !launch.spec.dns_servers.empty() || !launch.spec.dns_search.empty();
  if (names_servers) birth.resolver_file = folder.resolver_file();
  birth.read_only = launch.spec.read_only;
  birth.cgroups = &cgroups;
  return birth;
}

void be_born(const Birth& birth, int out_fd, int err_fd, int error_fd, pid_t parent) {
  birth.cgroups->join();
  ::setsid();
  confine(birth, error_fd);
  const int in_fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (in_fd < 0 || ::dup2(in_fd, 0) < 0 || ::dup2(out_fd, 1) < 0 || ::dup2(err_fd, 2) < 0 || ::chdir("/") != 0) {
    give_up(error_fd, "cannot set its files");
  }
  take_account(birth.account, error_fd);
  // After the change of user, which forgets it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::umask(022);
  reset_signals();
  const auto argv = pointers(birth.argv);
  const auto env = pointers(birth.env);
  ::execve(birth.program.c_str(), argv.data(), env.data());
  give_up(error_fd, "cannot run " + birth.program);
}

}  // namespace k4t::process
