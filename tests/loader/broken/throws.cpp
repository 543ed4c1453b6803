#include <stdexcept>

#include "parts.h"

namespace {
k4t_status describe(const k4t_call*) {
#ifdef THROW_INT
  throw 7;
#else
  throw std::runtime_error("no licence");
#endif
}
}  // namespace

extern "C" {
K4T_EXPORT extern const k4t_driver k4t_driver_v1;
const k4t_driver k4t_driver_v1 = {sizeof(k4t_driver), 0, 0, 0, describe, good_open, good_call, good_close};
}
