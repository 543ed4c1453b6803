#pragma once

#include <string>
#include <vector>

#include "config/report.hpp"
#include "config/value.hpp"
#include "model/cluster.hpp"

namespace k4t::config {

/// What a cluster file need not say.
struct ClusterDefaults {
  std::vector<std::string> plugin_folders;  ///< where [plugins] names none; absolute
};

/// Reads and checks k4t.toml. The result is of use only if the report has no error. `folder` is the file's, absolute:
/// relative paths begin there.
model::Cluster read_cluster(const Value& root, const std::string& folder, const ClusterDefaults& defaults,
                            Report& report);

/// Reads one [[node]] table apart from any file.
model::Node read_node_table(const Value& table, Report& report);

/// What one driver takes.
struct DriverOptions {
  std::string section;  ///< of k4t.toml that names such drivers: "node", "gateway" or "dns"
  std::string driver;
  Json schema;  ///< Manifest::options_schema
};

/// JSON Schema (draft 7) of k4t.toml. Tables that name one of these drivers have its options; of others anything goes.
Json cluster_schema(const std::vector<DriverOptions>& drivers = {});

}  // namespace k4t::config
