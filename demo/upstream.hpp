#pragma once

#include <string>
#include <variant>

#include "http_message.hpp"

namespace demo {

/// What another service answered, or why there is no answer.
using Called = std::variant<Response, std::string>;

/// GETs the URL. The host's name is looked up with the machine's real resolver (/etc/resolv.conf, read anew each time),
/// IPv4 addresses first, tried in the order in which they came. Waits at most 10 seconds and takes at most 1 MiB.
Called call_upstream(const Url& url);

}  // namespace demo
