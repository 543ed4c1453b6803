#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "k4t/runtime.hpp"

/// Between k4t's values and the Engine API's JSON (Docker Engine API v1.41). Pure; what comes from the engine is
/// untrusted, and what does not have the documented shape is UNAVAILABLE.

namespace k4t::docker {

/// Where instances are reached.
struct Reached {
  std::string address;  ///< where ports are published
  std::string network;  ///< the engine's network in which instances with an address of their own have it; may be empty
};

/// The body of POST /containers/create. INVALID_ARGUMENT: the spec cannot be expressed, and why.
Result<Json> create_body(const runtime::InstanceSpec& spec, const Reached& reached);

/// From the answer of GET /containers/{id}/json.
Result<runtime::Instance> instance_of(const Json& inspected);

/// From the answer of GET /info.
Result<runtime::NodeInfo> node_info_of(const Json& info);

/// An image reference taken apart as POST /images/create wants it.
struct ImageName {
  std::string repository;  ///< with the registry, if there is one
  std::string tag;         ///< a tag or a digest; "latest" where the reference names none
};
Result<ImageName> parse_image(const std::string& reference);

/// The query of GET /containers/json for all instances of a cluster, in all phases.
std::string list_query(const std::string& cluster);

/// INVALID_ARGUMENT: no container can have this name, and put into a path it could mean something else.
Result<void> check_name(std::string_view name);

/// Seconds since 1970 of an RFC 3339 time in UTC; 0 for Docker's "never", the year 1, and for what is no time.
std::int64_t unix_time_s(const std::string& text);

/// The instance already is what the spec asks for: same name, same k4t labels and every other label of the spec. The
/// image may have added labels of its own.
bool same_identity(const runtime::Instance& present, const runtime::InstanceSpec& spec);

/// The blocks of addresses in the answer of GET /networks/{name}.
Result<std::vector<std::string>> subnets_of(const Json& network);

/// Whether an engine's refusal to start an instance is about an address of its own that somebody else has.
bool address_is_taken(const std::string& refusal);

/// Which of these host ports an engine's refusal is about, as "127.0.0.1:20000" or, where it does not say, all of them;
/// empty: it is about something else.
std::string taken_port(const std::string& refusal, const std::vector<runtime::PortMap>& ports,
                       const std::string& address);

}  // namespace k4t::docker
