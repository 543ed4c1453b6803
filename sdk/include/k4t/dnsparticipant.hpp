#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "k4t/dns.hpp"
#include "k4t/dnsupdate.hpp"

/// The whole participant contract of a DNS server (participant.hpp, dns.hpp) on dynamic updates (RFC 2136): a driver
/// says how its vendor's servers are reached and what they can take, and nothing else. Library k4t::dnsparticipant.
///
/// The register is the TXT record `_k4t.SUFFIX`. Every write is one UPDATE whose prerequisite is that record exactly as
/// it was read, so of several writers one wins, whoever they are and however late their messages arrive.
///
/// A commit changes records and register in one message, which the server does as a whole. Where that would be too
/// large, it goes in chunks: every chunk requires the register as the one before wrote it and writes the next one, open
/// (" from=VERSION chunk=K"), until the last closes it; additions come before removals. Whoever finds an open register
/// can only go on: commit the same or a later version, which reads what is there and sends what is missing.
///
/// Evidence: the register is read back. Since it was replaced together with the records, and nothing that would make a
/// server drop a record silently was in the way, it vouches for all of them. Up to 100 changed record sets are read
/// back all the same, of more a few from all over.
///
/// Staged states live in the driver object. In the zone only their txn is left (`_k4t-try.SUFFIX`), which proves at
/// prepare that we may write; a commit through another handle answers NOT_FOUND.

namespace k4t::dnsparticipant {

/// How a driver finds out which records there are.
enum class Reading {
  /// By zone transfer (RFC 5936). Where the server refuses one, only names that are known anyway can be asked for: a
  /// full commit then needs a handle that knows what the zone held.
  transfer,
  /// By an index that is kept in the zone: TXT records `_k4t-i-NN.SUFFIX` that name each record set of ours, changed in
  /// the same message as the record set itself. For servers without transfers. Records that somebody else made at other
  /// names are not seen.
  index,
};

struct Options {
  std::string zone;    ///< lower case, no final dot
  std::string suffix;  ///< the cluster's domain, at or below the zone
  dnsupdate::Endpoint endpoint;
  std::unique_ptr<dnsupdate::Authenticator> authenticator;  ///< nullptr: neither signed nor verified
  Reading reading = Reading::transfer;
  std::size_t message_limit_bytes = 60000;  ///< what one UPDATE may need at most; larger commits go in chunks
  std::size_t names_limit = SIZE_MAX;       ///< names in one UPDATE, for servers that answer nobody meanwhile
  /// Bytes that one record set may need, since it is always replaced as a whole; prepare refuses larger ones.
  std::size_t record_set_limit_bytes = SIZE_MAX;
};

/// The zone of a server whose option `zone` is this; absent: the cluster's domain. INVALID_ARGUMENT: the domain is not
/// at or below it, or leaves no room for k4t's own names.
Result<std::string> zone_of(const OpenRequest& request, const std::optional<std::string>& zone);

/// Connects to nothing. Has capability witness. Not thread-safe. REQUIRES: zone_of() accepted zone and suffix.
std::unique_ptr<dns::Driver> make_driver(Options options);

}  // namespace k4t::dnsparticipant
