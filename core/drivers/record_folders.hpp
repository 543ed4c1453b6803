#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "k4t/transport.hpp"
#include "txn/ports.hpp"

namespace k4t::drivers {

/// Folders that keep records for witnesses which hold none: one beside the master's metadata, and those that [[record]]
/// tables name, on other machines. A vote that a DNS server shows names a record that somebody must be able to read, so
/// the record is durable here before such a witness is asked. Thread-safe.
class RecordFolders {
 public:
  /// The first is the master's own; each is made when it is needed.
  struct Folder {
    std::shared_ptr<transport::Host> host;
    std::string path;
    bool elsewhere = false;  ///< on another machine
  };
  explicit RecordFolders(std::vector<Folder> folders) : folders_(std::move(folders)) {}

  /// Keeps the record in every folder that answers within half of the time; a success where it is durable in one.
  /// Asked once per record: who did not answer is not asked again.
  Result<void> keep(const model::Record& record, const CallOptions& options);
  /// NOT_FOUND: all answer and none has it. UNAVAILABLE: one that may have it does not answer.
  Result<model::Record> fetch(const std::string& txn, const CallOptions& options) const;
  /// Whether keep() made it durable on another machine.
  [[nodiscard]] bool kept_elsewhere(const std::string& txn) const;
  /// Deletes, where keep() got through, what nobody can ask for any more once a version has been voted for: what is
  /// older than its base.
  void prune(std::uint64_t version, const CallOptions& options);
  /// Each folder, and whether it holds the record; absent: it does not tell.
  [[nodiscard]] std::vector<std::pair<std::string, std::optional<bool>>> holders(const std::string& txn,
                                                                                 const CallOptions& options) const;

 private:
  struct Kept {
    Result<void> outcome;
    bool elsewhere = false;
  };
  Kept put(const model::Record& record, const CallOptions& options);
  [[nodiscard]] std::string names() const;

  const std::vector<Folder> folders_;
  mutable std::mutex mutex_;
  std::map<std::string, Kept> kept_;  ///< by txn
  std::set<std::string> reached_;     ///< names of folders that kept something
  std::uint64_t pruned_ = 0;          ///< up to which version
};

/// A witness whose records are kept in `folders` before it votes, and found there where it holds none itself.
class RecordingWitness final : public txn::WitnessPort {
 public:
  /// Both outlive this.
  RecordingWitness(txn::WitnessPort& witness, RecordFolders& folders) : witness_(witness), folders_(folders) {}

  Result<txn::WitnessAnswer> claim(const txn::ClaimRequest& request, const CallOptions& options) override;
  Result<txn::WitnessAnswer> vote(const model::Epoch& epoch, const model::Record& record,
                                  const CallOptions& options) override;
  Result<std::optional<model::WitnessRegister>> peek(const CallOptions& options) override;
  Result<model::Record> fetch(const std::string& txn, const CallOptions& options) override;
  Result<void> close(const model::Epoch& epoch, const CallOptions& options) override;

 private:
  txn::WitnessPort& witness_;
  RecordFolders& folders_;
};

}  // namespace k4t::drivers
