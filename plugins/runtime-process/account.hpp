#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "k4t/result.hpp"

namespace k4t::process {

/// The rights with which an instance runs.
struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  ///< supplementary ones, the primary included
  std::string home = "/";
  bool change = false;  ///< differs from what this process has
};

/// The account that an InstanceSpec's `user` names: "" (as this process), "name", "uid", "name:group", "uid:gid".
/// INVALID_ARGUMENT: no such user or group, or this process may not change to it.
Result<Account> find_account(const std::string& user);

}  // namespace k4t::process
