#pragma once

#include <set>
#include <string>
#include <vector>

#include "model/state.hpp"
#include "txn/ports.hpp"

/// Parts of a state. Pure.

namespace k4t::operation {

/// What one group serves of it.
model::State slice_of(const model::State& state, txn::Group group);

/// What routes to or names the services `wanted`; `known` are all services there are, because names of backends begin
/// with their service's.
model::State only_services(const model::State& state, const std::set<std::string>& wanted,
                           const std::set<std::string>& known);

/// plan::describe_difference without what is history: former witnesses and forced versions.
std::vector<std::string> routing_difference(model::State before, model::State after);

}  // namespace k4t::operation
