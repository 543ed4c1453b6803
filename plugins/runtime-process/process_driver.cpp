#include "process_driver.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "k4t/digest.hpp"
#include "launch.hpp"
#include "log_file.hpp"
#include "run_supervise.hpp"
#include "spec.hpp"
#include "supervise/exit_codes.hpp"

namespace k4t::process {
namespace {

namespace fs = std::filesystem;
using runtime::Phase;

constexpr int kStep_ms = 10;
constexpr int kClaims = 100;
constexpr const char* kNew = ".new-";    ///< being made; nobody knows its name yet
constexpr const char* kGone = ".gone-";  ///< being deleted; its name is free again

Error no_instance(const std::string& name) {
  return Error{Status::not_found, "there is no instance '" + name + "' on this node", {}};
}

Error given_up(const std::string& what) { return Error{Status::deadline, what, {}}; }

bool lives(Phase phase) { return phase == Phase::running || phase == Phase::restarting; }

/// Names in a folder; none where there is no folder, for nothing was ever made in it.
Result<std::vector<std::string>> names_in(const std::string& path) {
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr && errno == ENOENT) return std::vector<std::string>();
  if (folder == nullptr) return Error{Status::unavailable, system_error("cannot read " + path).message, {}};
  std::vector<std::string> names;
  errno = 0;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): of one stream, which is this function's own
  while (const dirent* entry = ::readdir(folder)) names.emplace_back(entry->d_name);
  const int error = errno;
  ::closedir(folder);
  if (error != 0)
    return Error{Status::unavailable, "cannot read " + path + ": " + std::generic_category().message(error), {}};
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> make_folders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return Error{Status::unavailable, "cannot make " + path + ": " + error.message(), {}};
  return {};
}

/// The control groups of equally named instances in different folders must differ.
std::string cgroup_name(const std::string& folder, const std::string& name) {
  return name + "-" + sha256_hex(folder).substr(0, 12);
}

}  // namespace

InstanceFolder ProcessDriver::folder_of(const std::string& name) const {
  return InstanceFolder(options_.folder + "/" + name);
}

Result<runtime::Instance> describe(const InstanceFolder& folder) {
  K4T_ASSIGN(const auto launch, folder.launch());
  K4T_ASSIGN(const auto status, folder.status());
  runtime::Instance instance;
  instance.id = launch.spec.name;
  instance.name = launch.spec.name;
  instance.image = launch.spec.image;
  instance.labels = launch.spec.labels;
  instance.ports = launch.spec.ports;
  instance.phase = status.phase;
  instance.exit_code = status.exit_code;
  instance.restarts = status.restarts;
  instance.started_at_s = status.started_at_s;
  instance.cpu_millis = status.cpu_millis;
  instance.memory_bytes = status.memory_bytes;
  instance.detail = status.detail;
  return instance;
}

Result<Descriptor> ProcessDriver::lock_folder(const InstanceFolder& folder, const Call& call) const {
  for (;;) {
    Descriptor opened(::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened.valid() && errno == ENOENT) return no_instance(fs::path(folder.path()).filename());
    if (!opened.valid()) return system_error("cannot open " + folder.path());
    while (::flock(opened.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return system_error("cannot lock " + folder.path());
      if (call.cancelled()) return Error{Status::busy, "another k4t is changing this instance", folder.path()};
      ::poll(nullptr, 0, kStep_ms);
    }
    // It may have been removed, and even made anew, while this call waited.
    struct stat locked {};
    struct stat named {};
    const bool same = ::fstat(opened.get(), &locked) == 0 && ::stat(folder.path().c_str(), &named) == 0 &&
                      locked.st_ino == named.st_ino && locked.st_dev == named.st_dev;
    if (same) return opened;
  }
}

Result<runtime::ImageReply> ProcessDriver::ensure_image(const runtime::ImageRequest& request, Call& /*call*/) {
  if (request.image.empty()) return runtime::ImageReply{};
  runtime::InstanceSpec spec;
  spec.image = request.image;
  K4T_ASSIGN(const auto argv, argv_of(spec, options_.images));
  if (find_in_path(argv[0], {}).empty()) {
    return Error{Status::not_found,
                 argv[0] + ", which stands for image '" + request.image + "', is no program on this node",
                 {}};
  }
  K4T_ASSIGN(const auto content, read_file(argv[0]));
  return runtime::ImageReply{"sha256:" + sha256_hex(content)};
}

Result<runtime::ListReply> ProcessDriver::list(const runtime::ListRequest& request, Call& /*call*/) {
  K4T_ASSIGN(const auto names, names_in(options_.folder));
  runtime::ListReply reply;
  for (const auto& name : names) {
    if (!is_instance_name(name)) continue;
    auto instance = describe(folder_of(name));
    // Removed since the folder was read.
    if (!instance && instance.status() == Status::not_found) continue;
    if (!instance) return instance.error();
    const auto cluster = instance->labels.find(runtime::label::cluster);
    if (cluster != instance->labels.end() && cluster->second == request.cluster) reply.instances.push_back(*instance);
  }
  return reply;
}

Result<runtime::Instance> ProcessDriver::inspect(const runtime::InstanceRequest& request, Call& /*call*/) {
  if (!is_instance_name(request.name)) return no_instance(request.name);
  auto instance = describe(folder_of(request.name));
  if (!instance && instance.status() == Status::not_found) return no_instance(request.name);
  return instance;
}

Result<runtime::Instance> ProcessDriver::create(const runtime::InstanceSpec& spec, Call& call) {
  K4T_TRY(check_spec(spec));
  Launch launch;
  launch.spec = spec;
  K4T_ASSIGN(launch.argv, argv_of(spec, options_.images));
  launch.cgroup = cgroup_name(options_.folder, spec.name);
  launch.log_file_bytes = options_.log_file_bytes;
  K4T_TRY(make_folders(options_.folder));
  sweep();
  if (call.cancelled()) return given_up("given up before it was made");
  return create_folder(spec, launch);
}

/// A folder to be filled, with the lock that keeps it from being swept. A sweep can come before the lock and delete it.
Result<Descriptor> ProcessDriver::claim_new_folder(const std::string& name, std::string& path) const {
  for (int attempt = 0; attempt < kClaims; ++attempt) {
    path = options_.folder + "/" + kNew + name + "-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return system_error("cannot make a folder in " + options_.folder);
    Descriptor claimed(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (claimed.valid() && ::flock(claimed.get(), LOCK_EX) == 0 && ::access(path.c_str(), F_OK) == 0) return claimed;
  }
  return Error{Status::busy, "new folders in " + options_.folder + " are deleted as soon as they are made", {}};
}

/// The folder gets its name when everything is in it, so that half an instance is never seen.
Result<runtime::Instance> ProcessDriver::create_folder(const runtime::InstanceSpec& spec, const Launch& launch) {
  std::string fresh;
  K4T_ASSIGN(const Descriptor claimed, claim_new_folder(spec.name, fresh));
  const InstanceFolder folder = folder_of(spec.name);
  Result<void> made = fill_folder(InstanceFolder(fresh), launch);
  int error = 0;
  if (made && ::rename(fresh.c_str(), folder.path().c_str()) != 0) error = errno;
  if (made && error == 0) made = sync_folder(options_.folder);
  if (made && error == 0) return describe(folder);
  std::error_code ignored;
  fs::remove_all(fresh, ignored);
  if (!made) return made.error();
  if (error != EEXIST && error != ENOTEMPTY) {
    return Error{
        Status::unavailable, "cannot make " + folder.path() + ": " + std::generic_category().message(error), {}};
  }
  K4T_ASSIGN(const auto existing, describe(folder));
  if (existing.labels == spec.labels) return existing;
  return Error{Status::conflict, "instance '" + spec.name + "' exists with other labels: remove it first", {}};
}

Result<void> ProcessDriver::fill_folder(const InstanceFolder& folder, const Launch& launch) const {
  const auto& spec = launch.spec;
  K4T_ASSIGN(const auto resolver, render_resolver(spec.dns_servers, spec.dns_search));
  if (!resolver.empty()) {
    K4T_TRY(replace_file(folder.resolver_file(), resolver, Durability::power));
    ::chmod(folder.resolver_file().c_str(), 0644);
  }
  return replace_file(folder.spec_file(), Json(launch).dump(-1, ' ', false, Json::error_handler_t::replace),
                      Durability::power);
}

/// Deletes what calls that died left half made or half deleted; those at work hold their folder's lock.
void ProcessDriver::sweep() const {
  const auto names = names_in(options_.folder);
  if (!names) return;
  for (const auto& name : *names) {
    if (!name.starts_with(kNew) && !name.starts_with(kGone)) continue;
    const std::string path = options_.folder + "/" + name;
    const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid() || ::flock(folder.get(), LOCK_EX | LOCK_NB) != 0) continue;
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
}

Result<runtime::Instance> ProcessDriver::start(const runtime::InstanceRequest& request, Call& call) {
  if (!is_instance_name(request.name)) return no_instance(request.name);
  const InstanceFolder folder = folder_of(request.name);
  K4T_ASSIGN(const auto held, lock_folder(folder, call));
  K4T_ASSIGN(const auto launch, folder.launch());
  for (;;) {
    K4T_ASSIGN(const auto status, folder.status());
    K4T_ASSIGN(const bool supervised, folder.is_locked());
    if (supervised && !folder.stop_wanted() && lives(status.phase)) return describe(folder);
    if (!supervised) break;
    // An earlier supervisor is ending, or what it left is being killed.
    if (call.cancelled()) return given_up("the instance's last life does not end");
    ::poll(nullptr, 0, kStep_ms);
  }
  K4T_TRY(delete_file(folder.stop_file()));
  K4T_TRY(check_ports_free(address_, launch.spec.ports));
  K4T_TRY(launch_supervisor(folder, launch, call));
  return describe(folder);
}

Result<void> ProcessDriver::launch_supervisor(const InstanceFolder& folder, const Launch& launch, Call& call) const {
  if (options_.supervisor.empty()) {
    return Error{Status::invalid_argument, "k4t-supervise was not found: install it, or set options.supervisor", {}};
  }
  std::string said;
  const OutputSink keep = [&](Channel, std::string_view text) { return said.append(text), true; };
  K4T_ASSIGN(const int exit_code, run_supervise(options_.supervisor, {"run", folder.path()}, keep, call));
  if (exit_code == kRuns || exit_code == kSupervised) return {};
  while (said.ends_with('\n')) said.pop_back();
  const auto status = exit_code == kCannotRun ? Status::invalid_argument : Status::unavailable;
  return Error{status, "cannot start '" + launch.spec.name + "': " + said, {}};
}

Result<Nothing> ProcessDriver::stop(const runtime::InstanceRequest& request, Call& call) {
  if (!is_instance_name(request.name)) return no_instance(request.name);
  const InstanceFolder folder = folder_of(request.name);
  K4T_ASSIGN(const auto held, lock_folder(folder, call));
  K4T_ASSIGN(const auto launch, folder.launch());
  K4T_TRY(stop_supervised(folder, launch, call));
  return Nothing{};
}

Result<Nothing> ProcessDriver::remove(const runtime::InstanceRequest& request, Call& call) {
  if (!is_instance_name(request.name)) return Nothing{};
  const InstanceFolder folder = folder_of(request.name);
  const auto held = lock_folder(folder, call);
  if (!held && held.status() == Status::not_found) return Nothing{};
  if (!held) return held.error();
  K4T_ASSIGN(const auto launch, folder.launch());
  if (!launch.spec.labels.contains(runtime::label::cluster)) {
    return Error{Status::conflict, "'" + request.name + "' is not k4t's: it has no label k4t.cluster", {}};
  }
  K4T_TRY(stop_supervised(folder, launch, call));
  const std::string gone = options_.folder + "/" + kGone + request.name + "-" + std::to_string(::getpid());
  if (::rename(folder.path().c_str(), gone.c_str()) != 0) return system_error("cannot remove " + folder.path());
  std::error_code error;
  fs::remove_all(gone, error);
  K4T_TRY(sync_folder(options_.folder));
  return Nothing{};
}

}  // namespace k4t::process
