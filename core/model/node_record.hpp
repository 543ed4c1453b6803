#pragma once

#include <cstdint>
#include <string>

#include "model/cluster.hpp"

/// What the master keeps about nodes besides k4t.toml. Pure values.

namespace k4t::model {

K4T_JSON_DECLARE(Node)

/// How a user set a node apart. None of them gets new instances.
enum class Mark {
  cordoned,  ///< what runs there stays
  draining,  ///< what runs there moves elsewhere as far as there is room
  lost,      ///< a user's word that it is gone: while it cannot be read, what it ran counts for nothing
};
K4T_JSON_ENUM_DECLARE(Mark, {Mark::cordoned, "cordoned"}, {Mark::draining, "draining"}, {Mark::lost, "lost"})

/// A node has at most one.
struct NodeMark {
  std::string node;
  Mark mark = Mark::cordoned;
  std::string why;        ///< the user's words; may be empty
  std::string by;         ///< see txn::ClaimRequest::holder
  std::int64_t at_s = 0;  ///< Unix time
  friend bool operator==(const NodeMark&, const NodeMark&) = default;
};
K4T_JSON_DECLARE(NodeMark)

/// A node that was added by a command and not by k4t.toml.
struct AddedNode {
  Node node;
  std::string by;         ///< see txn::ClaimRequest::holder
  std::int64_t at_s = 0;  ///< Unix time
};

}  // namespace k4t::model
