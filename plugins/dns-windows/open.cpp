#include <algorithm>
#include <chrono>
#include <utility>

#include "k4t/dnsparticipant.hpp"
#include "k4t/gsstsig.hpp"
#include "k4t/options.hpp"
#include "windows_driver.hpp"

namespace k4t::dns_windows {
namespace {

namespace du = k4t::dnsupdate;

// Above some 16 KB Samba does an update and then fails to answer it; far above 250 names it answers nobody for long.
constexpr std::uint32_t message_limit_bytes = 14000;
constexpr std::size_t names_limit = 250;
constexpr std::size_t record_set_limit_bytes = 12000;

struct Options {
  std::string host;
  std::string principal;
  std::optional<std::string> keytab;
  std::optional<std::string> password_file;
  std::optional<std::string> realm;
  std::optional<std::string> kdc_address;
  std::uint16_t kdc_port = 88;
  std::uint16_t port = 53;
  std::optional<std::string> zone;
  std::uint32_t timeout_ms = 5000;
};
K4T_JSON(Options, host, principal, keytab, password_file, realm, kdc_address, kdc_port, port, zone, timeout_ms)

Json options_schema() {
  const Options standard;
  return option::schema(
      {{"host", option::text("Full host name of this DNS server, e.g. dc1.ad.example.net: tickets are for DNS/HOST. It "
                             "is not looked up; the address tells where the server is.")},
       {"principal", option::text("Account that k4t updates with: k4t, or k4t@AD.EXAMPLE.NET.")},
       {"keytab", option::file("File with the account's Kerberos keys, not readable by other users. Either this or "
                               "password_file.")},
       {"password_file", option::file("File whose first line is the account's password, not readable by other users.")},
       {"realm", option::text("Kerberos realm; without it, the host's domain in upper case.")},
       {"kdc_address",
        option::text("IP address of the domain controller that gives tickets; without it, this server's.")},
       {"kdc_port", option::port("TCP port of Kerberos there.", standard.kdc_port)},
       {"port", option::port("TCP port on which the DNS server answers.", standard.port)},
       {"zone", option::text("The zone that holds the cluster's domain: the domain itself, which is the default, or a "
                             "parent of it. No final dot.")},
       {"timeout_ms",
        option::number("How long to wait for each answer, DNS and Kerberos.", 100, 60000, standard.timeout_ms)}},
      {"host", "principal"});
}

std::string in_case(std::string text, char from, char to, int shift) {
  for (char& byte : text) byte = byte >= from && byte <= to ? static_cast<char>(byte + shift) : byte;
  return text;
}
std::string lower(std::string text) { return in_case(std::move(text), 'A', 'Z', 'a' - 'A'); }
std::string upper(std::string text) { return in_case(std::move(text), 'a', 'z', 'A' - 'a'); }

Error invalid(std::string message) { return Error{Status::invalid_argument, std::move(message), {}}; }

bool is_host_name(const std::string& text) {
  return text.find('.') != std::string::npos && text.back() != '.' && du::check_name(text) &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string::npos;
}

bool is_principal(const std::string& text) {
  const auto plain = [](char byte) { return byte > ' ' && byte < 0x7f && byte != '\\'; };
  return !text.empty() && text.front() != '@' && text.back() != '@' && std::ranges::all_of(text, plain);
}

/// The realm of the account, if it names one, else that of the host.
std::string default_realm(const std::string& principal, const std::string& host) {
  const auto at = principal.rfind('@');
  return upper(at != std::string::npos ? principal.substr(at + 1) : host.substr(host.find('.') + 1));
}

Result<du::GssIdentity> identity_of(const Options& options, const std::string& address) {
  du::GssIdentity identity;
  identity.host = lower(options.host);
  if (!is_host_name(identity.host)) {
    return invalid("'" + options.host +
                   "' is no full host name; set the option host to one such as dc1.ad.example.net");
  }
  if (!is_principal(options.principal)) {
    return invalid("'" + options.principal + "' is no account; write the option principal as in k4t@AD.EXAMPLE.NET");
  }
  identity.realm = options.realm.value_or(default_realm(options.principal, identity.host));
  if (!du::check_name(lower(identity.realm)) || identity.realm.empty()) {
    return invalid("'" + identity.realm + "' is no Kerberos realm; write the option realm as in AD.EXAMPLE.NET");
  }
  const bool has_realm = options.principal.find('@') != std::string::npos;
  identity.principal = has_realm ? options.principal : options.principal + "@" + identity.realm;
  identity.keytab = options.keytab.value_or("");
  identity.password_file = options.password_file.value_or("");
  identity.kdc = {options.kdc_address.value_or(address), options.kdc_port,
                  std::chrono::milliseconds(options.timeout_ms)};
  return identity;
}

}  // namespace

Manifest manifest() {
  Manifest manifest;
  manifest.name = "windows";
  manifest.version = "1.0.0";
  manifest.summary = "Windows DNS or Samba AD: zones with secure dynamic updates only (RFC 2136 with GSS-TSIG)";
  manifest.capabilities = {dns::capability::witness};
  manifest.options_schema = options_schema();
  return manifest;
}

Result<std::unique_ptr<dns::Driver>> open(const OpenRequest& request, Call& /*call*/) {
  const std::string server = "DNS server " + request.name;
  auto options = decode<Options>(request.options);
  if (!options) return options.error().within("options of " + server);
  dnsparticipant::Options wanted;
  K4T_ASSIGN(wanted.zone, dnsparticipant::zone_of(request, options->zone));
  wanted.suffix = request.domain;
  wanted.endpoint = {request.address, options->port, std::chrono::milliseconds(options->timeout_ms)};
  auto identity = identity_of(*options, request.address);
  if (!identity) return identity.error().within(server);
  auto authenticator = du::make_gss_tsig(std::move(identity).value());
  if (!authenticator) return authenticator.error().within(server);
  wanted.authenticator = std::move(authenticator).value();
  wanted.reading = dnsparticipant::Reading::index;
  wanted.message_limit_bytes = message_limit_bytes;
  wanted.names_limit = names_limit;
  wanted.record_set_limit_bytes = record_set_limit_bytes;
  return dnsparticipant::make_driver(std::move(wanted));
}

}  // namespace k4t::dns_windows
