#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "register_text.hpp"
#include "zone.hpp"

namespace k4t::dnsparticipant {

/// The driver that make_driver() makes; dnsparticipant.hpp tells how it works, render.hpp whose records are whose.
/// Not thread-safe.
class Participant final : public dns::Driver {
 public:
  explicit Participant(Options options);

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

  /// `staged`: an element of staged_, which it leaves when it is served.
  Result<CommitReply> replace(SeenText now, const Register& target, Staged& staged, bool in_full, Call& call);
  Result<std::vector<Step>> plan(const SeenText& now, const Register& target, const Staged& staged, bool in_full,
                                 const dnsupdate::Limits& limits);
  /// Moves what the messages need out of the steps.
  Result<Zone::Written> write(SeenText& now, const Register& target, std::vector<Step>& steps, Call& call);
  /// How many of the steps were read back.
  Result<std::size_t> verify(const Register& target, const std::vector<Step>& steps, const dnsupdate::Limits& limits);
  Result<void> check_served(const Step& step, const Records& answered) const;

  [[nodiscard]] std::string register_name() const { return "_k4t." + zone_.suffix(); }
  [[nodiscard]] std::string try_name() const { return "_k4t-try." + zone_.suffix(); }
  [[nodiscard]] Room room() const;
  [[nodiscard]] Error conflict(const SeenText& found) const;
  Result<std::string> witness_name(const std::string& suffix, const std::string& id) const;

  Zone zone_;
  Room limits_;  ///< of one message
  std::size_t record_set_limit_bytes_;
  std::map<std::string, Staged> staged_;                  ///< by txn
  std::vector<std::string> staged_order_;                 ///< oldest first
  std::map<std::string, Records> committed_;              ///< at most one: what was last committed here, by txn
  std::optional<std::pair<Register, Records>> expected_;  ///< what the last observer expected here
};

}  // namespace k4t::dnsparticipant
