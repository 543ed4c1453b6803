#pragma once

#include "support/dns_proxy.hpp"

namespace k4t::dns_bind {

using Proxy = testing::DnsProxy;

}  // namespace k4t::dns_bind
