#pragma once

#include "bind_driver.hpp"
#include "support/bind_server.hpp"
#include "support/dns_handle.hpp"

namespace k4t::dns_bind {

using testing::a_record;
using testing::at_version;
using testing::DiesAfter;
using testing::large_state;
using testing::state_of;

/// Messages that large states need many of.
constexpr int small_message_bytes = 12288;

/// A handle on a server of the zone example.net.
class Handle : public testing::DnsHandle {
 public:
  Handle(const std::string& address, std::uint16_t port, const Json& options)
      : DnsHandle(open, address, with_defaults(options, port)) {}

  explicit Handle(const testing::BindServer& server, const Json& options = Json::object())
      : Handle(server.address(), options.value("port", server.port()), with_key(options, server.key_file())) {}

 private:
  static Json with_defaults(Json options, std::uint16_t port) {
    options["port"] = port;
    if (!options.contains("zone")) options["zone"] = "example.net";
    return options;
  }
  static Json with_key(Json options, const std::string& file) {
    if (!options.contains("key_file")) options["key_file"] = file;
    return options;
  }
};

}  // namespace k4t::dns_bind
