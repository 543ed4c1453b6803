#pragma once

#include <optional>
#include <string>

#include "drivers/fleet.hpp"
#include "drivers/witness_rules.hpp"

namespace k4t::drivers {

/// A witness that is a TXT record `_k4t-w-ID.SUFFIX` on one DNS server (witness_text.hpp has its form): the rules run
/// here, and each swap is one message that the server takes only if the record is exactly the one that was read. A lost
/// answer is settled by reading again over the same path. Whoever rebuilds the zone loses the register: BLANK.
///
/// It holds no records: fetch is UNSUPPORTED, and whoever lets it vote keeps the record elsewhere first
/// (RecordingWitness). Thread-safe.
class DnsWitness final : public RegisterWitness {
 public:
  /// `server` outlives this. REQUIRES: its driver has capability witness.
  DnsWitness(DnsClient& server, std::string cluster, std::string suffix, std::string id);

  Result<model::Record> fetch(const std::string& txn, const CallOptions& options) override;

 private:
  Result<std::optional<std::string>> read(const Patience& patience) override;
  [[nodiscard]] Result<model::WitnessRegister> understand(const std::string& text) const override;
  Result<std::string> swap(const std::optional<Held>& held, const model::WitnessRegister& next,
                           const model::Record* record, const Patience& patience) override;
  [[nodiscard]] std::string place() const override;
  [[nodiscard]] std::string kept(const std::string& holder) const override;

  DnsClient& server_;
  std::string suffix_;
};

}  // namespace k4t::drivers
