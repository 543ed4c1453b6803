#include "drivers/record_folders.hpp"

#include "drivers/witness_file.hpp"
#include "drivers/witness_rules.hpp"
#include "platform/steps.hpp"

namespace k4t::drivers {
namespace {

std::string name_of(const RecordFolders::Folder& folder) { return folder.host->name() + ' ' + folder.path; }

/// Half of the time, so that the other half is left for the vote itself.
CallOptions half_of(const CallOptions& options) {
  return {std::max(options.timeout / 2, std::chrono::milliseconds(1)), options.sink};
}

}  // namespace

std::string RecordFolders::names() const {
  std::string text;
  for (const auto& folder : folders_) text += (text.empty() ? "" : ", ") + name_of(folder);
  return text;
}

RecordFolders::Kept RecordFolders::put(const model::Record& record, const CallOptions& options) {
  const Patience patience(half_of(options));
  Kept kept{Error{Status::unavailable, "the record can be kept in none of its folders (" + names() + ")", {}}, false};
  std::string reasons;
  for (const auto& folder : folders_) {
    auto put = folder.host->make_folder(folder.path, 0700, patience.limits());
    if (put) put = put_record(*folder.host, folder.path, record, patience.limits());
    if (put) {
      kept.outcome = {};
      kept.elsewhere = kept.elsewhere || folder.elsewhere;
      reached_.insert(name_of(folder));
      platform::step("record kept at " + folder.host->name());
    } else {
      reasons += (reasons.empty() ? "" : "\n") + name_of(folder) + ": " + put.error().message;
    }
  }
  if (!kept.outcome) kept.outcome = Error{kept.outcome.status(), kept.outcome.error().message, reasons};
  return kept;
}

// Several witnesses vote for one record at once: the first one's thread keeps it, the others wait for that.
Result<void> RecordFolders::keep(const model::Record& record, const CallOptions& options) {
  if (!model::is_authentic(record)) {
    return Error{Status::invalid_argument, "the record to keep does not have the name of its content", {}};
  }
  const std::scoped_lock lock(mutex_);
  const auto known = kept_.find(record.txn);
  if (known != kept_.end() && known->second.outcome) return {};
  return kept_.insert_or_assign(record.txn, put(record, options)).first->second.outcome;
}

Result<model::Record> RecordFolders::fetch(const std::string& txn, const CallOptions& options) const {
  const Patience patience(options);
  Error why{
      Status::not_found,
      "none of the record folders (" + names() + ") has it: bring the machine of the master that proposed it back",
      {}};
  for (const auto& folder : folders_) {
    auto record = fetch_record(*folder.host, folder.path, txn, patience.limits());
    if (record) return record;
    if (record.status() != Status::not_found) {
      why = Error{Status::unavailable, "the record folder " + name_of(folder) + ": " + record.error().message,
                  record.error().detail};
    }
  }
  return why;
}

bool RecordFolders::kept_elsewhere(const std::string& txn) const {
  const std::scoped_lock lock(mutex_);
  const auto known = kept_.find(txn);
  return known != kept_.end() && known->second.elsewhere;
}

void RecordFolders::prune(std::uint64_t version, const CallOptions& options) {
  const std::scoped_lock lock(mutex_);
  if (version <= pruned_) return;
  pruned_ = version;
  const Patience patience(half_of(options));
  for (const auto& folder : folders_) {
    if (!reached_.contains(name_of(folder))) continue;
    static_cast<void>(folder.host->sweep_folder(folder.path, patience.limits()));
    prune_records(*folder.host, folder.path, version - 1, {}, patience);
  }
}

std::vector<std::pair<std::string, std::optional<bool>>> RecordFolders::holders(const std::string& txn,
                                                                                const CallOptions& options) const {
  std::vector<std::pair<std::string, std::optional<bool>>> all;
  for (const auto& folder : folders_) {
    const auto record = fetch_record(*folder.host, folder.path, txn, Patience(options).limits());
    const bool told = record || record.status() == Status::not_found;
    all.emplace_back(name_of(folder), told ? std::optional(record.ok()) : std::nullopt);
  }
  return all;
}

Result<txn::WitnessAnswer> RecordingWitness::claim(const txn::ClaimRequest& request, const CallOptions& options) {
  return witness_.claim(request, options);
}

Result<txn::WitnessAnswer> RecordingWitness::vote(const model::Epoch& epoch, const model::Record& record,
                                                  const CallOptions& options) {
  const Patience patience(options);
  K4T_TRY(folders_.keep(record, options));
  return witness_.vote(epoch, record, patience.options());
}

Result<std::optional<model::WitnessRegister>> RecordingWitness::peek(const CallOptions& options) {
  return witness_.peek(options);
}

Result<model::Record> RecordingWitness::fetch(const std::string& txn, const CallOptions& options) {
  const Patience patience(options);
  auto own = witness_.fetch(txn, options);
  if (own) return own;
  auto kept = folders_.fetch(txn, patience.options());
  // What the witness itself says counts where it should have had it.
  return kept || own.status() == Status::unsupported ? kept : own;
}

// Any vote that the witness shows says that its base is decided.
Result<void> RecordingWitness::close(const model::Epoch& epoch, const CallOptions& options) {
  const Patience patience(options);
  K4T_TRY(witness_.close(epoch, options));
  const auto shown = witness_.peek(patience.options());
  if (shown && *shown && (*shown)->vote && (*shown)->promised == epoch) {
    folders_.prune((*shown)->vote->version, patience.options());
  }
  return {};
}

}  // namespace k4t::drivers
