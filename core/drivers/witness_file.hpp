#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "drivers/witness_rules.hpp"
#include "k4t/transport.hpp"

namespace k4t::drivers {

/// Keeps a record durably as FOLDER/k4t-record-TXN.json. REQUIRES: its txn is that of its content.
Result<void> put_record(transport::Host& host, const std::string& folder, const model::Record& record,
                        const transport::Limits& limits);
/// NOT_FOUND: it is known to be absent. FATAL: it is damaged.
Result<model::Record> fetch_record(transport::Host& host, const std::string& folder, const std::string& txn,
                                   const transport::Limits& limits);
/// Deletes records of the folder older than `version` that are none of `named`, as far as that works: what stays is
/// deleted by a later run. Any doubt keeps a file.
void prune_records(transport::Host& host, const std::string& folder, std::uint64_t version,
                   const std::set<std::string>& named, const Patience& patience);

/// A witness that is a file in a folder of some machine. PATH/k4t-witness-ID.json holds the register, one line of JSON,
/// and below it, from a vote until the next change, the record that was voted for: one rename brings both, so that no
/// moment of a crash and no order in which a disk keeps things can leave a vote without its record. The next change
/// leaves the record behind as PATH/k4t-record-TXN.json, a second name of the file that it is about to replace, durable
/// before it is replaced. So a vote waits for the disk twice (the new file, its name), and once more (the name that is
/// kept) where the present register still holds another record; a claim's file is small.
///
/// A register that cannot be understood is FATAL and stays as it is; only a file that is known to be absent is BLANK.
/// Every call keeps its deadline, as far as the host's file operations do. A run that dies at any moment leaves the
/// register as it was or as it was to be; records are deleted by a later run's close once nobody can ask for them any
/// more: older than the base of this witness's vote and named by no register in the folder.
///
/// Thread-safe as far as the host is; masters on several machines exclude each other by the swap.
class FileWitness final : public RegisterWitness {
 public:
  FileWitness(std::shared_ptr<transport::Host> host, std::string cluster, model::Witness where);

  Result<model::Record> fetch(const std::string& txn, const CallOptions& options) override;

 private:
  Result<std::optional<std::string>> read(const Patience& patience) override;
  [[nodiscard]] Result<model::WitnessRegister> understand(const std::string& text) const override;
  Result<std::string> swap(const std::optional<Held>& held, const model::WitnessRegister& next,
                           const model::Record* record, const Patience& patience) override;
  [[nodiscard]] std::string place() const override;
  void closed(const model::WitnessRegister& now, const Patience& patience) override;

  [[nodiscard]] Result<void> check_place() const;
  void prune(const model::Vote& vote, const Patience& patience);

  std::shared_ptr<transport::Host> host_;
  std::string folder_;
};

}  // namespace k4t::drivers
