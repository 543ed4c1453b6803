#pragma once

#include <string>
#include <string_view>

/// Domain names between text and wire; wire.hpp has the other direction.

namespace k4t::dnsupdate {

/// Our text of a name's uncompressed wire form in lower case.
std::string name_text(std::string_view wire);

}  // namespace k4t::dnsupdate
