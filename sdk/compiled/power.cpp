// clang-format off
#include "k4t/plugin.hpp"
#include "define.hpp"
#include "k4t/power.hpp"
// clang-format on
