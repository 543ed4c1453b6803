#pragma once

#include <memory>
#include <string>

#include "k4t/dnsupdate.hpp"

/// GSS-TSIG (RFC 3645): DNS messages signed under a security context that Kerberos 5 establishes with the server, as
/// Windows DNS and Samba want it for secure dynamic updates. Library k4t::gsstsig, on MIT Kerberos.
///
/// Nothing of the process or of the machine is touched or needed: no environment variable is read or set, tickets live
/// in a nameless cache in memory that is destroyed with the authenticator, and realm and Kerberos server come from
/// here, not from DNS. Of /etc/krb5.conf only the rules on encryption types count, and it may be missing. Any number of
/// authenticators may work in any number of threads, one thread at a time each.

namespace k4t::dnsupdate {

struct GssIdentity {
  std::string principal;      ///< the account, "k4t" or "k4t@AD.EXAMPLE.NET"
  std::string realm;          ///< "AD.EXAMPLE.NET"
  std::string keytab;         ///< path of a keytab with the account's keys, or empty
  std::string password_file;  ///< path of a file whose first line is the account's password, or empty
  std::string host;           ///< the DNS server's host name; its service principal is DNS/host
  Endpoint kdc;               ///< the realm's Kerberos server; asked over TCP
};

/// Asks nobody yet. INVALID_ARGUMENT with the remedy: not exactly one of keytab and password file, one that is missing,
/// empty or open to other users, or a keytab without a key for the principal. Messages never quote a password.
///
/// What goes wrong later is the error of the call that needed the context: INVALID_ARGUMENT where an administrator has
/// to act (unknown, locked or expired account, outdated keytab, wrong password, unknown host), UNAVAILABLE where the
/// Kerberos server does not answer, the clocks differ by more than five minutes, or the server refuses the ticket.
Result<std::unique_ptr<Authenticator>> make_gss_tsig(GssIdentity identity);

}  // namespace k4t::dnsupdate
