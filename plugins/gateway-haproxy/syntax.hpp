#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// HAProxy's configuration syntax: the one place that knows how a text is written so that it stays one word.

namespace k4t::haproxy {

/// `text` as one word of a configuration line, in strong quotes, within which `$`, `%`, `#`, `\`, `"` and spaces mean
/// themselves. REQUIRES: is_writable(text).
std::string quote(std::string_view text);

/// False for what no quoting can carry: control characters, line ends among them.
bool is_writable(std::string_view text);

/// True for text made of letters, digits, `.`, `_` and `-` that does not begin with a dot: it needs no quoting
/// anywhere, neither in a file, nor in the Runtime API, nor as a file's name.
bool is_plain(std::string_view text);

}  // namespace k4t::haproxy
