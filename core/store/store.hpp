#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/node_record.hpp"
#include "model/service.hpp"
#include "model/state.hpp"

/// The master's metadata: one SQLite file in the cluster's state folder. It is a cache of what the witnesses decided
/// and a journal of what this master intends; losing or rewinding it endangers nothing decided.

namespace k4t::store {

/// Unix time.
using Seconds = std::int64_t;

/// One user-level command. `phase` is the operation engine's own word for how far it has come.
struct Operation {
  std::int64_t id = 0;
  std::string kind;  ///< "apply", "drain", …
  Json arguments;
  std::string phase;
  Seconds started_s = 0;
  std::optional<Seconds> ended_s;      ///< absent: unfinished
  std::optional<std::string> outcome;  ///< "done", "failed: …"; absent: unfinished
};

/// One entry of an operation's journal: written as intended before the effect, as done after it.
struct Step {
  std::int64_t sequence = 0;  ///< 1, 2, … within the operation
  std::string kind;
  Json detail;
  bool done = false;
  Json result;  ///< of a done step; null otherwise
  Seconds at_s = 0;
};

struct KeptRecord {
  model::Record record;
  bool decided = false;
};

/// An address:port that must not be given to another instance.
struct Reservation {
  std::string address;
  std::uint16_t port = 0;
  std::string instance;
  /// The version that removed the endpoint: free again when every listed participant has passed it. Absent: in use.
  std::optional<std::uint64_t> removed_in;
  friend bool operator==(const Reservation&, const Reservation&) = default;
};

/// A command that waits for the next run of the master.
struct QueuedWork {
  std::int64_t id = 0;
  std::vector<std::string> command;          ///< as on k4t's command line, without service files
  std::map<std::string, std::string> files;  ///< service files as they were when it was queued, by name
  std::string by;                            ///< host, user and time
  Seconds at_s = 0;
  std::optional<std::string> failed;  ///< it was tried and will not be again; why
};

/// How a store is opened. change: one process at a time per state folder; BUSY names the other one. read: beside any
/// other, and every change is refused.
enum class Mode { change, read };

/// Everything is durable when a call returns OK. Not thread-safe. Errors name the file and the remedy: UNAVAILABLE for
/// a full disk or a file that cannot be read or written, BUSY for a lock, FATAL for a corrupt file, UNSUPPORTED for a
/// file of a newer k4t.
class Store {
 public:
  /// Makes the folder (0700) and the file (0600) where they are missing; in mode read a missing file is NOT_FOUND.
  /// `command` is what the lock shows to others, e.g. "apply".
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& folder, const std::string& command,
                                             Mode mode = Mode::change);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Puts that file, which snapshot() made, in the place of the folder's store, after `prepare`, where there is one,
  /// has changed it; the one before it stays beside it, under the name returned, empty: there was none. As a whole and
  /// durably: killed anywhere there is the old one, none, or the new one. BUSY: another process has the store.
  static Result<std::string> install(const std::filesystem::path& folder, const std::string& snapshot, Seconds now_s,
                                     const std::function<Result<void>(Store&)>& prepare = nullptr);

  /// The added nodes in a folder's store, sorted by name, without opening it: also while another process changes it,
  /// and of a store of another version as far as that has any. Empty where there is no store.
  static Result<std::vector<model::AddedNode>> peek_nodes(const std::filesystem::path& folder);

  [[nodiscard]] std::filesystem::path file() const;
  [[nodiscard]] bool is_read_only() const;

  /// Several changes as one: all are kept, or with an error none. Inside another one it is part of that one.
  Result<void> atomically(const std::function<Result<void>()>& changes);

  // The cluster.
  /// CONFLICT where the folder belongs to another cluster; notes the name the first time.
  Result<void> claim_for(const std::string& cluster);
  Result<std::optional<std::string>> cluster();
  /// Drawn when the cluster was made; absent: it is older than this, or `k4t init` was not run.
  Result<std::optional<std::string>> cluster_id();
  Result<void> set_cluster_id(const std::string& id);
  Result<std::uint64_t> highest_counter();
  Result<void> raise_counter(std::uint64_t counter);  ///< never lowers it
  Result<std::vector<std::string>> initialised_witnesses();
  Result<void> add_initialised_witnesses(const std::vector<std::string>& ids);

  /// All of it as one SQLite file, without what is only remembered. The same content gives the same bytes.
  Result<std::string> snapshot();

  // What was observed last, under a name of the observer's; a cache that helps while something cannot be read.
  Result<void> remember(const std::string& name, const Json& value);
  Result<std::optional<Json>> recall(const std::string& name);

  // What the user declared; sorted by name.
  Result<std::vector<model::Service>> services();
  Result<void> put_service(const model::Service& service);
  Result<void> remove_service(const std::string& name);
  Result<void> replace_services(const std::vector<model::Service>& services);

  // Nodes that k4t.toml does not name, and what users said of nodes; sorted by name.
  Result<std::vector<model::AddedNode>> nodes();
  Result<void> put_node(const model::AddedNode& added);
  Result<void> remove_node(const std::string& name);
  Result<std::vector<model::NodeMark>> marks();
  Result<void> put_mark(const model::NodeMark& mark);  ///< in place of the node's former one
  Result<void> remove_mark(const std::string& node);

  // The cache of the redo log. A decided record replaces undecided ones of its version; a decided one is never undone.
  Result<void> put_record(const model::Record& record, bool decided);
  Result<std::optional<model::Record>> latest_decided();
  Result<std::vector<KeptRecord>> records();  ///< sorted by version
  Result<void> prune_records(std::uint64_t before_version);

  // Operations and their journals.
  Result<std::int64_t> begin_operation(const std::string& kind, const Json& arguments, const std::string& phase,
                                       Seconds now_s);
  Result<void> set_phase(std::int64_t operation, const std::string& phase);
  Result<void> end_operation(std::int64_t operation, const std::string& outcome, Seconds now_s);
  Result<std::vector<Operation>> unfinished_operations();          ///< oldest first
  Result<std::vector<Operation>> operations(std::uint32_t limit);  ///< newest first
  Result<std::int64_t> intend(std::int64_t operation, const std::string& kind, const Json& detail, Seconds now_s);
  Result<void> finish_step(std::int64_t operation, std::int64_t sequence, const Json& result, Seconds now_s);
  Result<std::vector<Step>> steps(std::int64_t operation);

  // What waits for the next run; in the order in which it was queued.
  Result<std::int64_t> enqueue(const QueuedWork& work);  ///< its id is drawn here
  Result<std::vector<QueuedWork>> queue();
  Result<void> mark_failed(std::int64_t id, const std::string& why);
  Result<bool> dequeue(std::int64_t id);  ///< false: there is none such

  // Endpoints.
  /// CONFLICT where another instance holds the endpoint.
  Result<void> reserve(const std::string& address, std::uint16_t port, const std::string& instance);
  Result<void> mark_removed(const std::string& address, std::uint16_t port, std::uint64_t removed_in);
  Result<std::vector<Reservation>> reservations();  ///< sorted by address, then port
  /// Frees what versions up to `passed` removed; `passed`: the oldest version that any listed participant may serve.
  Result<void> release_passed(std::uint64_t passed);
  /// Frees an endpoint that no committed state ever named.
  Result<void> release(const std::string& address, std::uint16_t port);

 private:
  class Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k4t::store
