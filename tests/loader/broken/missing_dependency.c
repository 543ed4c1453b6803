#include "parts.h"
/* Needs a library that is not installed. */
int only_in_a_library_that_is_gone(void);
static k4t_status describe(const k4t_call* call) {
  return only_in_a_library_that_is_gone() ? K4T_FATAL : good_describe(call);
}
K4T_EXPORT extern const k4t_driver k4t_driver_v1;
const k4t_driver k4t_driver_v1 = {sizeof(k4t_driver), 0, 0, 0, describe, good_open, good_call, good_close};
