#include <utility>

#include "bind_driver.hpp"
#include "k4t/dnsparticipant.hpp"
#include "k4t/options.hpp"

namespace k4t::dns_bind {
namespace {

namespace du = k4t::dnsupdate;

constexpr std::size_t questions_ahead = 16;  // BIND works on up to 23 of a connection

struct Options {
  std::uint16_t port = 53;
  std::optional<std::string> zone;
  std::optional<std::string> key_file;
  std::uint32_t timeout_ms = 5000;
  std::uint32_t message_limit_bytes = 60000;
};
K4T_JSON(Options, port, zone, key_file, timeout_ms, message_limit_bytes)

Json options_schema() {
  const Options standard;
  return option::schema(
      {{"port", option::port("TCP port on which the server answers.", standard.port)},
       {"zone", option::text("The zone that holds the cluster's domain: the domain itself, which is the default, or a "
                             "parent of it. No final dot.")},
       {"key_file", option::file("File with the TSIG key, as `tsig-keygen` writes it or as one line "
                                 "NAME:ALGORITHM:BASE64. Not readable by other users. Without it messages are not "
                                 "signed, and the server has to trust our address.")},
       {"timeout_ms", option::number("How long to wait for each answer.", 100, 60000, standard.timeout_ms)},
       {"message_limit_bytes", option::number("Size above which a commit is sent in several updates.", 2048, 65000,
                                              standard.message_limit_bytes)}});
}

Result<std::unique_ptr<du::Authenticator>> authenticator_of(const Options& options) {
  if (!options.key_file) return std::unique_ptr<du::Authenticator>();
  K4T_ASSIGN(auto key, du::read_tsig_key(*options.key_file));
  return du::make_tsig(std::move(key));
}

}  // namespace

Manifest manifest() {
  Manifest manifest;
  manifest.name = "bind";
  manifest.version = "1.0.0";
  manifest.summary = "BIND 9, or any primary DNS server with dynamic updates (RFC 2136) signed by TSIG";
  manifest.capabilities = {dns::capability::witness};
  manifest.options_schema = options_schema();
  return manifest;
}

Result<std::unique_ptr<dns::Driver>> open(const OpenRequest& request, Call& /*call*/) {
  auto options = decode<Options>(request.options);
  if (!options) return options.error().within("options of DNS server " + request.name);
  K4T_ASSIGN(auto zone, dnsparticipant::zone_of(request, options->zone));
  auto authenticator = authenticator_of(*options);
  if (!authenticator) return authenticator.error().within("DNS server " + request.name);
  dnsparticipant::Options wanted;
  wanted.zone = std::move(zone);
  wanted.suffix = request.domain;
  wanted.endpoint = {request.address, options->port, std::chrono::milliseconds(options->timeout_ms), questions_ahead};
  wanted.authenticator = std::move(authenticator).value();
  wanted.message_limit_bytes = options->message_limit_bytes;
  return dnsparticipant::make_driver(std::move(wanted));
}

}  // namespace k4t::dns_bind
