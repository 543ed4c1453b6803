#include "model/node_record.hpp"

namespace k4t::model {

K4T_JSON_DEFINE(Node, name, driver, address, options, first_port, last_port, labels, cpu_millis, memory_bytes, subnet,
                public_address, first_public_port)
K4T_JSON_ENUM_DEFINE(Mark)
K4T_JSON_DEFINE(NodeMark, node, mark, why, by, at_s)

}  // namespace k4t::model
