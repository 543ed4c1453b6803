// clang-format off
#include "k4t/participant.hpp"
#include "k4t/plugin.hpp"
#include "define.hpp"
#include "k4t/gateway.hpp"
// clang-format on
