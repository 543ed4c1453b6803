#pragma once

#include <memory>
#include <optional>
#include <string>

#include "k4t/transport.hpp"
#include "txn/ports.hpp"

namespace k4t::drivers {

/// A witness that is a file in a folder of some machine: PATH/k4t-witness-ID.json holds the register and
/// PATH/k4t-record-TXN.json each record that it voted for. Every change of the register is read, decide,
/// compare-and-swap; whoever swapped in between makes it decide again. A record is durable before the vote that names
/// it. A register that cannot be understood is FATAL and stays as it is; only a file that is known to be absent is
/// BLANK.
///
/// Every call keeps its deadline, as far as the host's file operations do. Over SSH a run that dies at any moment
/// leaves the register as it was or as it was to be; a record that no vote names is deleted by a later run's close.
///
/// Thread-safe as far as the host is; masters on several machines exclude each other by the swap.
class FileWitness : public txn::WitnessPort {
 public:
  FileWitness(std::shared_ptr<transport::Host> host, std::string cluster, model::Witness where);

  Result<txn::WitnessAnswer> claim(const txn::ClaimRequest& request, const CallOptions& options) override;
  Result<txn::WitnessAnswer> vote(const model::Epoch& epoch, const model::Record& record,
                                  const CallOptions& options) override;
  Result<std::optional<model::WitnessRegister>> peek(const CallOptions& options) override;
  Result<model::Record> fetch(const std::string& txn, const CallOptions& options) override;
  /// Also deletes the records that nobody can ask for any more: those older than the base of this witness's vote that
  /// no register in the folder names, and what dead runs left half written.
  Result<void> close(const model::Epoch& epoch, const CallOptions& options) override;

 private:
  /// The register as it is on disk, and what it says.
  struct Held {
    std::string text;
    model::WitnessRegister now;
  };

  [[nodiscard]] Result<void> check_place() const;
  [[nodiscard]] std::string register_path() const;
  [[nodiscard]] std::string record_path(const std::string& txn) const;
  /// What one call may still take; told anew for each step of it.
  class Patience;

  Result<std::optional<Held>> read(const Patience& patience);
  Result<void> swap(const std::optional<Held>& held, const model::WitnessRegister& next, const Patience& patience);
  Result<void> store(const model::Record& record, const Patience& patience);
  Result<model::Record> fetch_record(const std::string& txn, const Patience& patience);
  void prune(const model::Vote& vote, const Patience& patience);

  std::shared_ptr<transport::Host> host_;
  std::string cluster_;
  model::Witness where_;
};

}  // namespace k4t::drivers
