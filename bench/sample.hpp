#pragma once

#include <vector>

#include "plan/plan.hpp"

/// A cluster of any size to measure with. Pure, and the same at every call.

namespace k4t::bench {

struct Sample {
  model::Cluster cluster;
  std::vector<model::Service> services;
  plan::World world;  ///< ten services per node at most; nothing runs yet
};

/// Services with two instances each, one HTTP port behind two gateways and two DNS servers.
Sample sample_of(std::size_t services);

/// Ids like those that k4t draws, in order.
plan::DrawId ids();

/// The state of all groups with every service running.
model::State state_of(const Sample& sample);

}  // namespace k4t::bench
