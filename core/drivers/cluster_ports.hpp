#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "drivers/fleet.hpp"
#include "drivers/record_folders.hpp"
#include "txn/ports.hpp"

namespace k4t::drivers {

/// The commit protocol's ports of one cluster: its participants through plugins, its witnesses through the transport
/// or, where their registers are in DNS, through the servers' plugins, its notes wherever `keep` puts them. Not
/// thread-safe; what it returns is.
class ClusterPorts final : public txn::Ports {
 public:
  using Keep = std::function<Result<void>(const txn::Note&)>;

  /// `cluster` and `fleet` outlive this.
  ClusterPorts(const model::Cluster& cluster, const Fleet& fleet, Keep keep);

  /// UNAVAILABLE: its DNS server is not in k4t.toml any more, or at another address: what answers there may be a copy
  /// of the register that nobody swaps.
  Result<txn::WitnessPort*> witness(const model::Witness& witness) override;
  Result<txn::ParticipantPort*> participant(const txn::Participant& who) override;
  Result<void> note(const txn::Note& note) override;

  /// The witness without the record folders behind it: what its own machine has.
  Result<txn::WitnessPort*> witness_itself(const model::Witness& witness);
  /// The cluster's record folders: the one beside the master's metadata and those of [[record]].
  Result<RecordFolders*> records();

 private:
  struct Ported {
    std::unique_ptr<txn::WitnessPort> itself;
    std::unique_ptr<RecordingWitness> recording;  ///< nullptr: it holds the records, and nobody asked for more copies
  };
  Result<Ported*> port_of(const model::Witness& witness);
  Result<std::unique_ptr<txn::WitnessPort>> open(const model::Witness& witness) const;

  const model::Cluster& cluster_;
  const Fleet& fleet_;
  Keep keep_;
  std::unique_ptr<RecordFolders> records_;   ///< nullptr: not needed yet
  std::map<std::string, Ported> witnesses_;  ///< by all that is said of them
};

}  // namespace k4t::drivers
