#include "null_driver.hpp"

// The only line that makes a library a plugin.
K4T_EXPORT_DRIVER(k4t::gateway::Kind, k4t::null::manifest, k4t::null::open)
