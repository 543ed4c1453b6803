// What all kinds share: the call, the plugin's edge and the participant contract.

// clang-format off
#include "define.hpp"
#include "k4t/options.hpp"
#include "k4t/participant.hpp"
#include "k4t/plugin.hpp"
// clang-format on
