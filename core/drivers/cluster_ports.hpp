#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "drivers/fleet.hpp"
#include "k4t/ssh.hpp"
#include "txn/ports.hpp"

namespace k4t::drivers {

/// The commit protocol's ports of one cluster: its participants through plugins, its witnesses through the transport,
/// its notes wherever `keep` puts them. Not thread-safe; what it returns is.
class ClusterPorts final : public txn::Ports {
 public:
  using Keep = std::function<Result<void>(const txn::Note&)>;

  /// `fleet` outlives this. `ssh`: how witnesses' machines are reached.
  ClusterPorts(std::string cluster, const Fleet& fleet, Keep keep, transport::SshOptions ssh = {});

  Result<txn::WitnessPort*> witness(const model::Witness& witness) override;
  Result<txn::ParticipantPort*> participant(const txn::Participant& who) override;
  Result<void> note(const txn::Note& note) override;

 private:
  std::string cluster_;
  const Fleet& fleet_;
  Keep keep_;
  transport::SshOptions ssh_;
  std::map<std::string, std::unique_ptr<txn::WitnessPort>> witnesses_;  ///< by host, path and id
};

}  // namespace k4t::drivers
