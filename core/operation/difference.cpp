#include "operation/difference.hpp"

#include <algorithm>

#include "plan/routing.hpp"

namespace k4t::operation {
namespace {

/// The longest known name that the backend's begins with.
std::string owner_of(const std::string& backend, const std::set<std::string>& known) {
  std::string owner;
  for (const auto& service : known) {
    if (backend.starts_with(service + "-") && service.size() > owner.size()) owner = service;
  }
  return owner;
}

bool names_service(const std::string& name, const std::string& service, const std::string& suffix) {
  const std::string own = service + "." + suffix;
  return name == own || name.ends_with("." + own);
}

}  // namespace

model::State slice_of(const model::State& state, txn::Group group) {
  model::State slice;
  if (group == txn::Group::gateway) {
    slice.gateways = state.gateways;
  } else {
    slice.dns = state.dns;
  }
  return slice;
}

model::State only_services(const model::State& state, const std::set<std::string>& wanted,
                           const std::set<std::string>& known) {
  std::set<std::string> all = known;
  all.insert(wanted.begin(), wanted.end());
  const auto is_wanted = [&](const std::string& backend) { return wanted.contains(owner_of(backend, all)); };
  model::State part;
  for (auto listener : state.gateways.listeners) {
    std::erase_if(listener.routes, [&](const gateway::Route& route) { return !is_wanted(route.backend); });
    const bool http = listener.protocol == gateway::Protocol::http;
    if (http ? !listener.routes.empty() : is_wanted(listener.backend)) part.gateways.listeners.push_back(listener);
  }
  for (const auto& backend : state.gateways.backends) {
    if (is_wanted(backend.name)) part.gateways.backends.push_back(backend);
  }
  part.dns.suffix = state.dns.suffix;
  for (const auto& set : state.dns.records) {
    const bool named = std::any_of(wanted.begin(), wanted.end(), [&](const std::string& service) {
      return names_service(set.name, service, state.dns.suffix);
    });
    if (named) part.dns.records.push_back(set);
  }
  return part;
}

std::vector<std::string> routing_difference(model::State before, model::State after) {
  for (auto* state : {&before, &after}) {
    state->former_witnesses.reset();
    state->forced.reset();
  }
  return plan::describe_difference(before, after);
}

}  // namespace k4t::operation
