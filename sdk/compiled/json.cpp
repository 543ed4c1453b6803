// What k4t/json.hpp itself has.

#include "k4t/json_value.hpp"

#undef K4T_SDK_BODIES
#define K4T_SDK_BODIES 1

#include "k4t/json.hpp"
