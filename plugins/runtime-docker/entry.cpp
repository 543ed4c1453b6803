#include "docker_driver.hpp"

K4T_EXPORT_DRIVER(k4t::runtime::Kind, k4t::docker::describe, k4t::docker::open_driver)
