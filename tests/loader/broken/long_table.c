#include "parts.h"
/* A good plugin from the future: its table goes on behind what this host knows. */
typedef struct later_driver {
  k4t_driver known;
  void (*appended)(void);
} later_driver;
K4T_EXPORT extern const later_driver k4t_driver_v1;
const later_driver k4t_driver_v1 = {{sizeof(later_driver), 3, 0, 0, good_describe, good_open, good_call, good_close},
                                    0};
