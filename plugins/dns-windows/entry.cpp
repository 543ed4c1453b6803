#include "windows_driver.hpp"

K4T_EXPORT_DRIVER(k4t::dns::Kind, k4t::dns_windows::manifest, k4t::dns_windows::open)
