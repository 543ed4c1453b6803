#include "parts.h"
/* Its size says that the table ends before `call`. */
K4T_EXPORT extern const k4t_driver k4t_driver_v1;
const k4t_driver k4t_driver_v1 = {offsetof(k4t_driver, call), 0, 0, 0, good_describe, good_open, good_call, good_close};
