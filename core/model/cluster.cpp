#include "model/cluster.hpp"

namespace k4t::model {

K4T_JSON_DEFINE(Witness, id, host, path, dns)
K4T_JSON_ENUM_DEFINE(Availability)
K4T_JSON_ENUM_DEFINE(Reach)

std::uint16_t Node::public_port(std::uint16_t port) const {
  const bool mapped = first_public_port != 0 && port >= first_port && port <= last_port;
  return mapped ? static_cast<std::uint16_t>(port - first_port + first_public_port) : port;
}

std::uint16_t Node::inner_port(std::uint16_t public_port) const {
  const int port = public_port - first_public_port + first_port;
  const bool mapped = first_public_port != 0 && port >= first_port && port <= last_port;
  return mapped ? static_cast<std::uint16_t>(port) : public_port;
}

std::string place_of(const Witness& witness) {
  return witness.dns ? "DNS server " + *witness.dns + " (" + witness.host + ")" : witness.host + ' ' + witness.path;
}

std::string machine_of(const std::string& host) {
  constexpr std::string_view scheme = "ssh://";
  constexpr std::string_view usual_port = ":22";
  if (!host.starts_with(scheme)) return host;
  std::string machine = host.substr(scheme.size());
  if (const auto at = machine.find('@'); at != std::string::npos) machine.erase(0, at + 1);
  if (machine.ends_with(usual_port)) machine.resize(machine.size() - usual_port.size());
  // An IPv6 address stands in brackets only where a port may follow.
  const bool bracketed = machine.starts_with('[') && machine.ends_with(']');
  return bracketed ? machine.substr(1, machine.size() - 2) : machine;
}

}  // namespace k4t::model
