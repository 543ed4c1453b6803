#pragma once

#include <string_view>
#include <vector>

#include "k4t/json.hpp"
#include "platform/json_schema.hpp"

/// What plugins may say, judged by the schemas of sdk/schema, which are compiled into the program. Thread-safe.

namespace k4t::plugin {

/// The API version of a kind that this program speaks, e.g. "gateway.v1"; empty: no such kind.
std::string_view api_of(std::string_view kind);

std::vector<platform::JsonIssue> check_manifest(const Json& manifest);

/// A reply to `method` of `kind`. A method that the schema does not know is not judged: the caller's decoding is.
std::vector<platform::JsonIssue> check_reply(std::string_view kind, std::string_view method, const Json& reply);

/// "/counts/0: …; /counts/1: …", at most three of them.
std::string text_of(const std::vector<platform::JsonIssue>& issues);

}  // namespace k4t::plugin
