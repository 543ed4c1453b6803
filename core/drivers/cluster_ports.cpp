#include "drivers/cluster_ports.hpp"

#include "drivers/witness_file.hpp"
#include "k4t/transport.hpp"

namespace k4t::drivers {

ClusterPorts::ClusterPorts(std::string cluster, const Fleet& fleet, Keep keep, transport::SshOptions ssh)
    : cluster_(std::move(cluster)), fleet_(fleet), keep_(std::move(keep)), ssh_(std::move(ssh)) {}

Result<txn::WitnessPort*> ClusterPorts::witness(const model::Witness& witness) {
  auto& port = witnesses_[Json(witness).dump()];
  if (port == nullptr) {
    K4T_ASSIGN(auto host, transport::open_host(witness.host, ssh_));
    port = std::make_unique<FileWitness>(std::move(host), cluster_, witness);
  }
  return port.get();
}

Result<txn::ParticipantPort*> ClusterPorts::participant(const txn::Participant& who) {
  if (auto* client = fleet_.participant(who)) return client;
  return Error{Status::unavailable,
               txn::to_string(who) +
                   " is a member of the decided state but not in k4t.toml; add it again, or remove it "
                   "with a change that all others take",
               {}};
}

Result<void> ClusterPorts::note(const txn::Note& note) { return keep_(note); }

}  // namespace k4t::drivers
