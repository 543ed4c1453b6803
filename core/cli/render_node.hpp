#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "operation/observed.hpp"

/// What the commands about nodes show, as text and as JSON. Pure. `now_s` is Unix time.

namespace k4t::cli {

/// "ready", "cordoned", "draining", "drained" (nothing is left there), "lost", "returned" (was lost and answers) or
/// "unreachable".
std::string node_state(const plan::NodeView& view);

/// Who set the node apart, when and why: "root on alpha (2026-01-31T12:00:00Z, node drain): new disks".
std::string mark_text(const model::NodeMark& mark);

/// `k4t node ls`.
std::string render_nodes(const std::vector<operation::NodeSight>& nodes, std::int64_t now_s, bool colours);
Json nodes_json(const std::vector<operation::NodeSight>& nodes);

/// `k4t node show`.
std::string render_node(const operation::NodeSight& node, std::int64_t now_s, bool colours);
Json node_json(const operation::NodeSight& node);

}  // namespace k4t::cli
