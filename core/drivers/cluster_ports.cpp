#include "drivers/cluster_ports.hpp"

#include "drivers/witness_dns.hpp"
#include "drivers/witness_file.hpp"
#include "k4t/transport.hpp"

namespace k4t::drivers {

ClusterPorts::ClusterPorts(const model::Cluster& cluster, const Fleet& fleet, Keep keep)
    : cluster_(cluster), fleet_(fleet), keep_(std::move(keep)) {}

Result<std::unique_ptr<txn::WitnessPort>> ClusterPorts::open(const model::Witness& witness) const {
  using Port = std::unique_ptr<txn::WitnessPort>;
  if (!witness.dns) {
    K4T_ASSIGN(auto host, transport::open_host(witness.host, cluster_.ssh));
    return Port(std::make_unique<FileWitness>(std::move(host), cluster_.name, witness));
  }
  auto* server = fleet_.dns_server(*witness.dns);
  if (server == nullptr || server->config().address != witness.host) {
    return Error{Status::unavailable,
                 "witness " + witness.id + " is on " + model::place_of(witness) + ", which k4t.toml does not name " +
                     (server == nullptr ? "any more" : "at this address any more") +
                     ": mend its [[dns]] table, or take the witness out with `k4t witness replace " + witness.id +
                     "` or `k4t witness rm " + witness.id + "`",
                 {}};
  }
  return Port(std::make_unique<DnsWitness>(*server, cluster_.name, cluster_.domain, witness.id));
}

Result<RecordFolders*> ClusterPorts::records() {
  if (records_ != nullptr) return records_.get();
  // A folder may be several clusters': each prunes only its own part.
  const auto part = [this](const std::string& path) { return path + "/" + cluster_.name; };
  std::vector<RecordFolders::Folder> folders{
      {transport::local_host(), part(cluster_.state_folder + "/records"), false}};
  for (const auto& record : cluster_.records) {
    K4T_ASSIGN(auto host, transport::open_host(record.host, cluster_.ssh));
    folders.push_back({std::move(host), part(record.path), record.host != "local"});
  }
  records_ = std::make_unique<RecordFolders>(std::move(folders));
  return records_.get();
}

Result<ClusterPorts::Ported*> ClusterPorts::port_of(const model::Witness& witness) {
  const std::string name = Json(witness).dump();
  if (const auto known = witnesses_.find(name); known != witnesses_.end()) return &known->second;
  Ported made;
  K4T_ASSIGN(made.itself, open(witness));
  if (witness.dns || !cluster_.records.empty()) {
    K4T_ASSIGN(auto* folders, records());
    made.recording = std::make_unique<RecordingWitness>(*made.itself, *folders);
  }
  return &witnesses_.emplace(name, std::move(made)).first->second;
}

Result<txn::WitnessPort*> ClusterPorts::witness(const model::Witness& witness) {
  K4T_ASSIGN(auto* port, port_of(witness));
  if (port->recording != nullptr) return static_cast<txn::WitnessPort*>(port->recording.get());
  return port->itself.get();
}

Result<txn::WitnessPort*> ClusterPorts::witness_itself(const model::Witness& witness) {
  K4T_ASSIGN(auto* port, port_of(witness));
  return port->itself.get();
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
