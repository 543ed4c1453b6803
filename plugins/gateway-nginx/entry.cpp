#include "nginx_driver.hpp"

K4T_EXPORT_DRIVER(k4t::gateway::Kind, k4t::nginx::manifest, k4t::nginx::open_driver)
