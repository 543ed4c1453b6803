#include "haproxy_driver.hpp"

K4T_EXPORT_DRIVER(k4t::gateway::Kind, k4t::haproxy::manifest, k4t::haproxy::open_driver)
