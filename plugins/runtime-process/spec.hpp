#pragma once

#include <map>
#include <string>
#include <vector>

#include "k4t/runtime.hpp"

/// What of an InstanceSpec this runtime can do, and how it is put. Pure, except for the look at programs and users.

namespace k4t::process {

/// INVALID_ARGUMENT or UNSUPPORTED with a remedy where a process cannot be what the spec wants.
Result<void> check_spec(const runtime::InstanceSpec& spec);

/// A name that is one harmless path component: [a-z0-9-], 1 to 63 characters, not starting with '-'.
bool is_instance_name(const std::string& name);

/// The program and its arguments. With an image, its program takes the place of the entrypoint's first word.
/// NOT_FOUND: no program stands for the image.
Result<std::vector<std::string>> argv_of(const runtime::InstanceSpec& spec,
                                         const std::map<std::string, std::string>& images);

/// resolv.conf(5) for these servers and search domains. INVALID_ARGUMENT: one of them is not what it should be.
Result<std::string> render_resolver(const std::vector<std::string>& servers, const std::vector<std::string>& search);

/// CONFLICT: somebody listens on one of the ports at `address` (all addresses where that is not this machine's).
Result<void> check_ports_free(const std::string& address, const std::vector<runtime::PortMap>& ports);

}  // namespace k4t::process
