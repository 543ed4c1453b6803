#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client.hpp"
#include "k4t/dns.hpp"
#include "render.hpp"

namespace k4t::dns_bind {

/// What the driver says of itself.
Manifest manifest();

/// INVALID_ARGUMENT: malformed options, or a key file that cannot be used. Connects to nothing.
Result<std::unique_ptr<dns::Driver>> open(const OpenRequest& request, Call& call);

/// A primary DNS server that takes dynamic updates (RFC 2136), as a participant. Its register is the TXT record
/// `_k4t.SUFFIX`. Every write is one UPDATE whose prerequisite is that record exactly as it was read, so of several
/// writers one wins, whoever they are and however late their messages arrive.
///
/// A commit changes records and register in one message, which the server does as a whole and keeps through a restart.
/// Where that would be too large, it goes in chunks: every chunk requires the register as the one before wrote it and
/// writes the next one, open (" from=VERSION"), until the last closes it; additions come before removals. Whoever finds
/// an open register can only go on: commit the same or a later version, which reads the zone and sends what is missing.
///
/// Staged states live in this object. In the zone only their txn is left (`_k4t-try.SUFFIX`), which proves at prepare
/// that the key may write; a commit through another handle answers NOT_FOUND. Whose records are whose: render.hpp.
///
/// Not thread-safe.
class BindDriver final : public dns::Driver {
 public:
  /// `message_limit_bytes`: what one UPDATE may need at most.
  BindDriver(Zone zone, std::size_t message_limit_bytes);

  Result<Observation> observe(const dns::ObserveRequest& request, Call& call) override;
  Result<Nothing> prepare(const dns::PrepareRequest& request, Call& call) override;
  Result<CommitReply> commit(const CommitRequest& request, Call& call) override;
  Result<Nothing> abort(const AbortRequest& request, Call& call) override;
  Result<dns::WitnessValue> witness_read(const dns::WitnessReadRequest& request, Call& call) override;
  Result<Nothing> witness_swap(const dns::WitnessSwapRequest& request, Call& call) override;

 private:
  struct Staged {
    Records target;
    std::optional<Records> base;  ///< what the zone held when it was clean at the register that prepare saw
  };
  using SeenText = std::optional<RegisterText>;  ///< the register as last read or written; absent: BLANK
  struct Drift {
    Content content = Content::unknown;
    std::string detail;
  };

  Result<SeenText> read_register(const dnsupdate::Limits& limits);
  Result<Drift> compare(const Records& target, const dnsupdate::Limits& limits);
  Result<Present> present_for(const SeenText& now, const Staged& staged, bool only_adds,
                              const dnsupdate::Limits& limits);
  Result<void> check_zone(const SeenText& now, const Staged& staged, const dnsupdate::Limits& limits);
  void keep(const std::string& txn, Staged staged);

  Result<CommitReply> replace(SeenText now, const Register& target, Staged staged, bool in_full, Call& call);
  Result<std::vector<Step>> plan(const SeenText& now, const Register& target, const Staged& staged, bool in_full,
                                 const dnsupdate::Limits& limits);
  Result<Zone::Written> write(SeenText& now, const Register& target, const std::vector<Step>& steps, Call& call);
  Result<void> verify(const Register& target, const std::vector<Step>& steps, const dnsupdate::Limits& limits);
  Result<void> check_served(const Step& step, const Records& answered) const;

  [[nodiscard]] std::string register_name() const { return "_k4t." + zone_.suffix(); }
  [[nodiscard]] std::string try_name() const { return "_k4t-try." + zone_.suffix(); }
  [[nodiscard]] std::size_t room_bytes() const;
  [[nodiscard]] Error conflict(const SeenText& found) const;
  Result<std::string> witness_name(const std::string& suffix, const std::string& id) const;

  Zone zone_;
  std::size_t message_limit_bytes_;
  std::map<std::string, Staged> staged_;                  ///< by txn
  std::vector<std::string> staged_order_;                 ///< oldest first
  std::map<std::string, Records> committed_;              ///< at most one: what was last committed here, by txn
  std::optional<std::pair<Register, Records>> expected_;  ///< what the last observer expected here
};

}  // namespace k4t::dns_bind
