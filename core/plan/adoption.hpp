#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/cluster.hpp"
#include "model/service.hpp"
#include "model/state.hpp"
#include "plan/instance.hpp"
#include "plan/plan.hpp"

/// What was declared, told from what runs and from what was decided: for a master that has lost its metadata. Pure.

namespace k4t::plan {

/// A service as it seems to have been declared. What an instance is made of stands on its label. How it is placed and
/// reached may have changed since it was made: that comes from what gateways and DNS servers serve, as far as they show
/// it; node_labels, drain_timeout_s and health.deadline_s are those of the newest instance.
struct Adopted {
  model::Service service;
  std::vector<Placed> instances;  ///< of the revision that counts
  std::string told_by;            ///< "NODE/INSTANCE": whose label says what it is made of
  std::string doubt;              ///< what was chosen where there was a choice, for people; empty: there was none
};

struct Adoption {
  std::vector<Adopted> services;         ///< that run; sorted by name
  std::vector<model::Service> declared;  ///< these and the others that are known; sorted by name
  std::vector<std::string> odd;          ///< instances that do not tell what they are, for people
  std::vector<std::string> unread;       ///< nodes that may run more, each with the reason why they cannot be read
  std::vector<std::string> unexplained;  ///< what is served and would not be if no more than this were declared
};

/// `latest`: the newest decided state; absent: nothing was ever decided. `known`: declarations from a copy, which may
/// be old; what one says of the revision that counts stands in for the instances' labels.
Adoption adopt(const model::Cluster& cluster, const std::vector<NodeView>& nodes,
               const std::optional<model::State>& latest, const std::vector<model::Service>& known = {});

}  // namespace k4t::plan
