#pragma once

#include "k4t/json.hpp"

/// From here on the SDK's headers define what they otherwise declare. Included once in each source of this folder,
/// after the headers whose definitions stand in another one.

#undef K4T_SDK_BODIES
#undef K4T_SDK_JSON
#undef K4T_SDK_JSON_ENUM
#define K4T_SDK_BODIES 1
#define K4T_SDK_JSON K4T_JSON_DEFINE
#define K4T_SDK_JSON_ENUM(ENUM, ...)     \
  K4T_JSON_ENUM_NAMES(ENUM, __VA_ARGS__) \
  K4T_JSON_ENUM_DEFINE(ENUM)
