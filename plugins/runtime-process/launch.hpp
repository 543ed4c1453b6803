#pragma once

#include <string>
#include <vector>

#include "account.hpp"
#include "cgroup.hpp"
#include "instance_folder.hpp"

/// Turning the calling process into an instance's process.

namespace k4t::process {

/// Everything that has to be known before the fork, after which little should go wrong.
struct Birth {
  std::vector<std::string> argv;
  std::vector<std::string> env;  ///< "NAME=value", complete
  std::string program;           ///< argv[0]'s path
  Account account;
  std::string resolver_file;  ///< shown to the instance as /etc/resolv.conf; empty: the machine's own
  bool read_only = false;
  const Cgroups* cgroups = nullptr;  ///< not owned
  bool is_instance = true;           ///< false: a command inside one, whose end must not end the others in the groups
};

/// Resolves program, account and environment. INVALID_ARGUMENT: the node lacks one of them.
Result<Birth> prepare_birth(const InstanceFolder& folder, const Launch& launch, std::vector<std::string> argv,
                            const Cgroups& cgroups);

/// The path of `name`: itself where it has a slash, else found in PATH (a list of folders). Empty: nowhere.
std::string find_in_path(const std::string& name, const std::string& path);

/// Never returns: the calling process, a child just forked, becomes the program in a session of its own. It dies when
/// its parent, whose pid is `parent`, dies. A failure is written to `error_fd` as text, which is closed by success.
[[noreturn]] void be_born(const Birth& birth, int out_fd, int err_fd, int error_fd, pid_t parent);

}  // namespace k4t::process
