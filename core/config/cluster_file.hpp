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

/// JSON Schema (draft 7) of k4t.toml.
Json cluster_schema();

}  // namespace k4t::config
