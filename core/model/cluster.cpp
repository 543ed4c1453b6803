#include "model/cluster.hpp"

namespace k4t::model {

K4T_JSON_DEFINE(Witness, id, host, path)
K4T_JSON_ENUM_DEFINE(Availability)

}  // namespace k4t::model
