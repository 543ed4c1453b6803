#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "k4t/result.hpp"

/// Domain names between text and ldns.

struct ldns_struct_rdf;

namespace k4t::dnsupdate {

struct FreeField {
  void operator()(ldns_struct_rdf* field) const;
};
using Field = std::unique_ptr<ldns_struct_rdf, FreeField>;

/// INVALID_ARGUMENT where check_name refuses the name.
Result<Field> make_dname(std::string_view name);

/// Our text of a name that is already in lower case.
std::string dname_text(const ldns_struct_rdf& name);

}  // namespace k4t::dnsupdate
