#include "null_driver.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "k4t/options.hpp"

namespace k4t::null {
namespace {

/// What the file holds.
struct Held {
  std::optional<Register> at;
  gateway::State state;
};

void to_json(Json& json, const Held& held) {
  json = {{"state", held.state}};
  if (held.at) json["register"] = *held.at;
}

void from_json(const Json& json, Held& held) {
  held.at = json.at("register").get<Register>();
  held.state = json.at("state").get<gateway::State>();
}

Error unavailable(const std::string& what) {
  return {Status::unavailable, what, std::generic_category().message(errno)};
}

/// An absent file in a folder that is there is the positive knowledge that nothing was ever written: BLANK.
Result<Held> load(const std::string& file) {
  if (::access(std::filesystem::path(file).parent_path().c_str(), R_OK | X_OK) != 0) {
    return unavailable("the folder of '" + file + "' cannot be read");
  }
  if (::access(file.c_str(), F_OK) != 0 && errno == ENOENT) return Held{};
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return unavailable("cannot read '" + file + "'");
  auto held = decode<Held>(Json::parse(text.str(), nullptr, /*allow_exceptions=*/false));
  if (!held) return Error{Status::unavailable, "'" + file + "' is not what this driver wrote", held.error().message};
  return held;
}

/// Temporary file, sync, rename, sync of the folder: after a power cut there is the old content or the new.
Result<void> store(const std::string& file, const Held& held) {
  const std::string fresh = file + ".new";
  const std::string text = Json(held).dump();
  const int out = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (out < 0) return unavailable("cannot write '" + fresh + "'");
  const bool written = ::write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(out) == 0;
  ::close(out);
  if (!written || ::rename(fresh.c_str(), file.c_str()) != 0) return unavailable("cannot replace '" + file + "'");
  const int folder = ::open(std::filesystem::path(file).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && ::fsync(folder) == 0;
  if (folder >= 0) ::close(folder);
  if (!synced) return unavailable("cannot sync the folder of '" + file + "'");
  return {};
}

/// Keeps other committers away; the kernel releases it whatever happens to this process.
class Lock {
 public:
  explicit Lock(const std::string& file) : fd_(::open((file + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {}
  ~Lock() {
    if (fd_ >= 0) ::close(fd_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  [[nodiscard]] bool take() const { return fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) == 0; }

 private:
  int fd_;
};

Error conflict(const std::optional<Register>& found) {
  return {Status::conflict, "the register is not the one that was seen", found ? Json(*found).dump() : "BLANK"};
}

}  // namespace

Result<Observation> NullGateway::observe(const gateway::ObserveRequest& request, Call& /*call*/) {
  K4T_ASSIGN(const Held held, load(file_));
  Observation seen;
  seen.stored = seen.served = held.at;
  // The writer is left out: whoever asks need not know who wrote the state last.
  if (request.expected && held.at && held.at->txn == request.expected->at.txn) {
    seen.content = held.state == request.expected->state ? Content::clean : Content::drifted;
  }
  for (const auto& [txn, state] : staged_) seen.staged.push_back(txn);
  return seen;
}

Result<Nothing> NullGateway::prepare(const gateway::PrepareRequest& request, Call& call) {
  // What names a thing on the server is checked before anything is done with it.
  if (!is_txn(request.target.txn)) return Error{Status::invalid_argument, "target.txn is not 32 hex digits", {}};
  K4T_ASSIGN(const Held held, load(file_));
  if (held.at != request.seen) return conflict(held.at);
  if (call.cancelled()) return Error{Status::deadline, "no time left", {}};
  staged_[request.target.txn] = request.state;
  return Nothing{};
}

Result<CommitReply> NullGateway::commit(const CommitRequest& request, Call& /*call*/) {
  K4T_TRY(load(file_));  // a folder that is not there must not be mistaken for a lock that is held
  const Lock lock(file_);
  if (!lock.take()) return Error{Status::busy, "another commit is under way", {}};
  K4T_ASSIGN(const Held held, load(file_));
  const auto staged = staged_.find(request.target.txn);
  const bool there = held.at && held.at->txn == request.target.txn;
  if (there && (staged == staged_.end() || staged->second == held.state)) return CommitReply{"already there"};
  if (held.at != request.seen) return conflict(held.at);
  if (staged == staged_.end()) return Error{Status::not_found, "this txn is not staged", request.target.txn};
  K4T_TRY(store(file_, Held{request.target, staged->second}));
  return CommitReply{"the file was replaced and synced"};
}

Result<Nothing> NullGateway::abort(const AbortRequest& request, Call& /*call*/) {
  staged_.erase(request.txn);
  return Nothing{};
}

Result<gateway::ConnectionsReply> NullGateway::connections(const gateway::ConnectionsRequest& request, Call& /*call*/) {
  gateway::ConnectionsReply reply;
  for (const auto& endpoint : request.endpoints) reply.counts.push_back({endpoint, 0});
  return reply;
}

Manifest manifest() {
  Manifest manifest;
  manifest.name = "null";
  manifest.version = "1.0.0";
  manifest.summary = "A gateway that keeps its state in a file and serves nobody";
  manifest.capabilities = {gateway::capability::http, gateway::capability::tcp,
                           gateway::capability::endpoint_connections};
  manifest.options_schema = option::schema({{"file", option::path("Absolute path of the file to keep")}}, {"file"});
  return manifest;
}

Result<std::unique_ptr<gateway::Driver>> open(const OpenRequest& request, Call& /*call*/) {
  const auto file = request.options.find("file");
  if (file == request.options.end() || !file->is_string() || file->get<std::string>().rfind('/', 0) != 0) {
    return Error{Status::invalid_argument, "option 'file' must be an absolute path", {}};
  }
  return std::unique_ptr<gateway::Driver>(std::make_unique<NullGateway>(file->get<std::string>()));
}

}  // namespace k4t::null
