#pragma once

#include <string>
#include <string_view>

namespace k4t::nginx {

/// A route's path is a prefix of whole segments, so a final slash adds nothing: "/api/" is "/api". The root stays "/".
inline std::string without_final_slash(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path);
}

}  // namespace k4t::nginx
