#include "parts.h"
K4T_EXPORT extern const k4t_driver k4t_driver_v1;
const k4t_driver k4t_driver_v1 = {sizeof(k4t_driver), 0, 0, 0, good_describe, good_open, 0, good_close};
