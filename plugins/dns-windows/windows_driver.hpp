#pragma once

#include <memory>

#include "k4t/dns.hpp"

/// Windows DNS and Samba AD: zones that are kept in Active Directory and take secure dynamic updates only. This is what
/// such a server is told and what it can take; how it is a participant is the SDK's (k4t/dnsparticipant.hpp).

namespace k4t::dns_windows {

/// What the driver says of itself.
Manifest manifest();

/// INVALID_ARGUMENT: malformed options, or a keytab or password file that cannot be used. Connects to nothing.
Result<std::unique_ptr<dns::Driver>> open(const OpenRequest& request, Call& call);

}  // namespace k4t::dns_windows
