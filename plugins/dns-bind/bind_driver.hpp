#pragma once

#include <memory>

#include "k4t/dns.hpp"

/// BIND 9, or any primary that takes updates signed by TSIG: what it is told and what it can take. How it is a
/// participant is the SDK's (k4t/dnsparticipant.hpp).

namespace k4t::dns_bind {

/// What the driver says of itself.
Manifest manifest();

/// INVALID_ARGUMENT: malformed options, or a key file that cannot be used. Connects to nothing.
Result<std::unique_ptr<dns::Driver>> open(const OpenRequest& request, Call& call);

}  // namespace k4t::dns_bind
