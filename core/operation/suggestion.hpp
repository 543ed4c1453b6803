#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/cluster.hpp"

/// Which machines of a cluster should be its witnesses. Pure.
///
/// One per machine, never the master's own. Order: hosts of gateways, nodes, DNS servers by a record. Five where five
/// hold folders; else three where there are three machines; else one, where a group's only member is, because without
/// that one nothing can be served anyway. Where DNS servers could decide alone, a machine with a folder keeps records.

namespace k4t::operation {

struct Suggestion {
  std::vector<model::Witness> witnesses;  ///< empty: nothing but this machine is known
  std::vector<model::RecordFolder> records;
  std::vector<std::string> notes;  ///< for people: what to check before use
};

/// `can_witness`: whether a DNS server's driver can hold a register.
Suggestion suggest_witnesses(const model::Cluster& cluster,
                             const std::function<bool(const model::Driven&)>& can_witness);

/// As tables to be pasted into k4t.toml; notes are comments.
std::string render_toml(const Suggestion& suggestion);
Json suggestion_json(const Suggestion& suggestion);

}  // namespace k4t::operation
