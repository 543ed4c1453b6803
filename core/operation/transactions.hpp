#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operation/force.hpp"
#include "operation/history.hpp"
#include "operation/master.hpp"
#include "operation/witnesses.hpp"

/// What people ask of the redo log and of the commit protocol itself: which versions there are, what each changed, who
/// holds it, how served differs from decided; and the commands that steer it apart from any service.

namespace k4t::operation {

/// One version of the redo log.
struct LogLine {
  std::uint64_t version = 0;
  std::string txn;
  std::string base;
  bool decided = false;
  std::optional<Decision> decision;    ///< as this master remembers it
  std::vector<std::string> voters;     ///< ids of witnesses whose vote names it now
  std::vector<std::string> served_by;  ///< participants
  std::vector<std::string> lagging;    ///< listed participants that are known not to have reached it
  std::vector<std::string> unknown;    ///< listed participants that do not answer
};

struct Log {
  std::vector<LogLine> lines;  ///< newest first
  txn::Assessment assessment;
  std::vector<store::Operation> unfinished;
};

/// One version in full.
struct Shown {
  LogLine line;
  txn::EntryPtr entry;
  txn::EntryPtr base;                   ///< nullptr: the first version, or not readable
  std::optional<Error> base_unknown;    ///< why its base cannot be read
  std::vector<std::string> difference;  ///< to its base, for people
  std::vector<std::string> holders;     ///< witnesses that hold its record
  std::vector<std::string> silent;      ///< witnesses that do not tell
  std::vector<std::string> folders;     ///< record folders that hold it, as "HOST PATH"
  std::vector<std::string> silent_folders;
  bool kept_here = false;  ///< in the master's store
};

/// One participant against the latest decided version.
struct MemberDifference {
  txn::Member member;
  /// What it serves → the latest version; absent: not known, and `unknown` says why.
  std::optional<std::vector<std::string>> lines;
  std::string unknown;
  std::optional<std::string> hand_edits;  ///< its content was changed by hand; the driver's words
};

struct Difference {
  txn::EntryPtr latest;
  bool sure = false;  ///< a majority of the witnesses told the latest version
  std::vector<MemberDifference> members;
  /// What service files want beyond the latest version; absent: none were given.
  std::optional<std::vector<std::string>> wanted;
  std::vector<std::string> problems;   ///< why what is wanted cannot be had
  [[nodiscard]] bool any() const;      ///< something is known to differ
  [[nodiscard]] bool unknown() const;  ///< something cannot be told
};

struct ForceOptions {
  std::string why;  ///< the user's words
  /// Shown what will be done before anything is; false: the user says no.
  std::function<bool(const Forcing&)> confirm;
};

/// Not thread-safe. One life of the master, as Master; give each a run of its own.
class Transactions {
 public:
  explicit Transactions(Environment environment);
  ~Transactions();

  Result<Log> log();
  /// `name`: a version, or a txn or the beginning of one, of at least four hex digits. NOT_FOUND, or INVALID_ARGUMENT
  /// where it fits several.
  Result<Shown> show(const std::string& name);
  /// Claims, finishes what another run left at the witnesses, brings participants that answer to the latest version,
  /// and nothing else. Unchanged: there was nothing to do.
  Result<Report> recover();
  /// `services` empty: everything; else only what routes to or names these.
  Result<Difference> difference(const std::set<std::string>& services);

  Result<Status> look();  ///< witnesses and participants only
  /// What may be asked of the set of witnesses: `add` and `replace` name tables of k4t.toml, `remove` ids of the
  /// decided set. INVALID_ARGUMENT with the remedy where that cannot be.
  struct WitnessWish {
    std::vector<std::string> add;
    std::vector<std::string> remove;
    std::vector<std::string> replace;
  };
  Result<Report> change_witnesses(const WitnessWish& wish);

  /// Begins a new history where a majority of the witnesses is gone for good; see choose_forced.
  Result<Report> force(const ForceOptions& options);
  /// The user has read what a forced version discarded.
  Result<Report> acknowledge();
  /// Overwrites participants that are off the chain with the latest version.
  Result<Report> overwrite(const std::set<txn::Participant>& who);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k4t::operation
