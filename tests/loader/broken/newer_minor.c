#include "parts.h"
/* Needs what only a later minor version of the host offers. */
K4T_EXPORT extern const k4t_driver k4t_driver_v1;
const k4t_driver k4t_driver_v1 = {sizeof(k4t_driver), 7, 7, 0, good_describe, good_open, good_call, good_close};
