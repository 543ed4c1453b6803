#include "parts.h"
/* For a later, incompatible interface. */
K4T_EXPORT extern const k4t_driver k4t_driver_v2;
const k4t_driver k4t_driver_v2 = {sizeof(k4t_driver), 0, 0, 0, good_describe, good_open, good_call, good_close};
