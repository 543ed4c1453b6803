#pragma once

#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "e2e/lab_fixture.hpp"

namespace k4t::testing::lab {

/// Cases about what a master knows, and about losing it.
class RecoveryCluster : public LabCluster {
 protected:
  /// Where nodes keep the cluster's copies.
  static constexpr const char* copies_folder = "/var/lib/k4t/backup/demo";

  /// What k4t.toml says from the next command on, before its plugins.
  static void add_to_config(const std::string& tables) {
    cluster().edit_config("\n[plugins]", "\n" + tables + "\n[plugins]");
  }
  static std::string backup_on(const std::string& node, const std::string& every) {
    return "[[backup]]\nnode = \"" + node + "\"\nevery = \"" + every + "\"\n\n";
  }

  /// The copies' names, the oldest first.
  static std::vector<std::string> copies(const std::string& node) {
    std::vector<std::string> names;
    std::istringstream list(cluster()[node].run({"ls", copies_folder}).out);
    for (std::string name; std::getline(list, name);) names.push_back(name);
    return names;
  }

  /// "NAME START" of each container of the service on all nodes.
  static std::set<std::string> running(const std::string& service = "web") {
    std::set<std::string> all;
    for (const char* node : {"n1", "n2", "n3"}) {
      std::istringstream lines(cluster()[node].must({"sh", "-c",
                                                     "docker ps -q --filter label=k4t.service=" + service +
                                                         " | xargs -r docker inspect -f '{{.Name}} "
                                                         "{{.State.StartedAt}}'"}));
      for (std::string line; std::getline(lines, line);) all.insert(line);
    }
    return all;
  }
};

}  // namespace k4t::testing::lab
