// What k4t/json.hpp itself has.

#include "k4t/json.hpp"

namespace k4t::detail {

Error malformed_value(const std::exception& cause) {
  return Error{Status::invalid_argument, std::string("malformed value: ") + cause.what(), {}};
}

}  // namespace k4t::detail
