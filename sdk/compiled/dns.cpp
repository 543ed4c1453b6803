// clang-format off
#include "k4t/participant.hpp"
#include "k4t/plugin.hpp"
#include "define.hpp"
#include "k4t/dns.hpp"
// clang-format on
