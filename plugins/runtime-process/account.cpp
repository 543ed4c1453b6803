#include "account.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <optional>

namespace k4t::process {
namespace {

std::optional<unsigned> to_id(const std::string& text) {
  unsigned id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size() || id == static_cast<unsigned>(-1)) return std::nullopt;
  return id;
}

std::optional<passwd> look_up_user(const std::string& name, std::vector<char>& buffer) {
  passwd entry{};
  passwd* found = nullptr;
  buffer.resize(65536);
  const auto id = to_id(name);
  const int error = id ? ::getpwuid_r(*id, &entry, buffer.data(), buffer.size(), &found)
                       : ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (error != 0 || found == nullptr) return std::nullopt;
  return entry;
}

std::optional<gid_t> look_up_group(const std::string& name) {
  if (const auto id = to_id(name)) return *id;
  std::vector<char> buffer(65536);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
  return entry.gr_gid;
}

std::vector<gid_t> groups_of(const passwd& entry) {
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (::getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count) < 0) {
    groups.resize(static_cast<std::size_t>(count));
    ::getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count);
  }
  groups.resize(static_cast<std::size_t>(count));
  return groups;
}

}  // namespace

Result<Account> find_account(const std::string& user) {
  const auto colon = user.find(':');
  const std::string name = user.empty() ? std::to_string(::geteuid()) : user.substr(0, colon);
  std::vector<char> buffer;
  Account account;
  if (const auto entry = look_up_user(name, buffer)) {
    account = {entry->pw_uid, entry->pw_gid, groups_of(*entry), entry->pw_dir, false};
  } else if (const auto id = to_id(name)) {
    account = {*id, *id, {*id}, "/", false};
  } else {
    return Error{Status::invalid_argument, "there is no user '" + name + "' on this node", {}};
  }
  if (user.empty()) return account;
  if (colon != std::string::npos) {
    const auto group = look_up_group(user.substr(colon + 1));
    if (!group)
      return Error{Status::invalid_argument, "there is no group '" + user.substr(colon + 1) + "' on this node", {}};
    account.gid = *group;
    account.groups = {*group};
  }
  account.change = account.uid != ::geteuid() || account.gid != ::getegid();
  if (account.change && ::geteuid() != 0) {
    return Error{Status::invalid_argument, "running as user '" + user + "' needs k4t to run as root on this node", {}};
  }
  return account;
}

}  // namespace k4t::process
