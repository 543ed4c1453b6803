#pragma once

#include <vector>

#include "config/report.hpp"
#include "config/value.hpp"
#include "model/cluster.hpp"
#include "model/service.hpp"

namespace k4t::config {

/// One [[service]] table, where it stands, and where to report what is wrong with it.
struct Declared {
  model::Service service;
  const Value* value = nullptr;
  Report* report = nullptr;
};

/// Reads a service file and checks each service by itself. A service is of use only if its value is sound.
std::vector<Declared> read_services(const Value& root, Report& report);

/// Checks all services of all files against each other and against the cluster. A cluster without nodes, which no valid
/// file gives, stands for one that could not be read: then only the former.
void check_services(const std::vector<Declared>& services, const model::Cluster& cluster);

/// JSON Schema (draft 7) of a service file.
Json service_schema();

}  // namespace k4t::config
