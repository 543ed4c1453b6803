#include <string>

#include "message.hpp"

namespace k4t::dnsupdate {

std::string rcode_text(Rcode rcode) {
  switch (rcode) {
    case Rcode::no_error: return "NOERROR";
    case Rcode::format_error: return "FORMERR";
    case Rcode::server_failure: return "SERVFAIL";
    case Rcode::name_error: return "NXDOMAIN";
    case Rcode::not_implemented: return "NOTIMP";
    case Rcode::refused: return "REFUSED";
    case Rcode::name_exists: return "YXDOMAIN";
    case Rcode::rrset_exists: return "YXRRSET";
    case Rcode::rrset_missing: return "NXRRSET";
    case Rcode::not_auth: return "NOTAUTH";
    case Rcode::not_zone: return "NOTZONE";
  }
  return "RCODE" + std::to_string(static_cast<int>(rcode));
}

Error update_error(Rcode rcode, const std::string& where, std::string_view zone, const Authenticator* authenticator) {
  const std::string grant = authenticator != nullptr ? authenticator->how_to_grant()
                                                     : "messages are not signed, so grant this machine's address";
  const std::string of_zone = "the zone " + std::string(zone);
  const auto error = [&](Status status, const std::string& why) {
    return Error{status, "DNS server " + where + ": " + why, rcode_text(rcode)};
  };
  switch (rcode) {
    case Rcode::name_error:
    case Rcode::name_exists:
    case Rcode::rrset_exists:
    case Rcode::rrset_missing:
      return error(Status::conflict, of_zone + " is not in the state that the update was made for");
    case Rcode::refused: return error(Status::invalid_argument, "refuses to update " + of_zone + "; " + grant);
    case Rcode::not_auth:
      return error(Status::invalid_argument,
                   "is not the primary server of " + of_zone + ", or does not accept the configured key for it");
    case Rcode::not_zone: return error(Status::invalid_argument, "a name in the update is not within " + of_zone);
    case Rcode::not_implemented: return error(Status::unsupported, "knows no dynamic updates (RFC 2136)");
    case Rcode::format_error: return error(Status::fatal, "did not understand the update");
    default:
      return error(Status::unavailable, "failed while it updated " + of_zone +
                                            "; whether the update was done is not known, read again before deciding");
  }
}

Error query_error(Rcode rcode, const std::string& where, std::string_view name) {
  const auto error = [&](Status status, const std::string& why) {
    return Error{status, "DNS server " + where + ": " + why, rcode_text(rcode)};
  };
  switch (rcode) {
    case Rcode::refused:
      return error(Status::invalid_argument, "refuses to answer for " + std::string(name) +
                                                 "; it has no zone for this name, or allow-query excludes us");
    case Rcode::not_auth:
      return error(Status::invalid_argument,
                   "does not accept the configured key, or has no zone for " + std::string(name));
    case Rcode::not_implemented: return error(Status::unsupported, "does not answer such queries");
    case Rcode::format_error: return error(Status::fatal, "did not understand the query");
    default: return error(Status::unavailable, "failed while it looked up " + std::string(name));
  }
}

}  // namespace k4t::dnsupdate
