// clang-format off
#include "k4t/plugin.hpp"
#include "define.hpp"
#include "k4t/runtime.hpp"
// clang-format on
