#include "drivers/witness_dns.hpp"

#include <utility>

#include "drivers/witness_text.hpp"

namespace k4t::drivers {

DnsWitness::DnsWitness(DnsClient& server, std::string cluster, std::string suffix, std::string id)
    : RegisterWitness(std::move(cluster), std::move(id)), server_(server), suffix_(std::move(suffix)) {}

std::string DnsWitness::place() const {
  return "_k4t-w-" + id() + "." + suffix_ + " on DNS server " + server_.config().name;
}

std::string DnsWitness::kept(const std::string& holder) const { return brief_holder(holder); }

Result<std::optional<std::string>> DnsWitness::read(const Patience& patience) {
  K4T_TRY(patience.check(place()));
  return server_.witness_text(suffix_, id(), patience.options());
}

Result<model::WitnessRegister> DnsWitness::understand(const std::string& text) const {
  auto now = parse_witness_text(text, id());
  return now ? now : now.error().within(place());
}

Result<std::string> DnsWitness::swap(const std::optional<Held>& held, const model::WitnessRegister& next,
                                     const model::Record* /*record*/, const Patience& patience) {
  K4T_ASSIGN(auto text, text_of(next));
  K4T_TRY(patience.check(place()));
  const auto expected = held ? std::optional<std::string>(held->text) : std::nullopt;
  const auto swapped = server_.swap_witness_text(suffix_, id(), expected, text, patience.options());
  if (swapped) return text;
  // Somebody changed it and changed it back meanwhile: no reason to give up, and no claim that courtesy must respect.
  const bool again = swapped.status() == Status::conflict || swapped.status() == Status::busy;
  return again ? Error{Status::conflict, swapped.error().message, {}} : swapped.error();
}

Result<model::Record> DnsWitness::fetch(const std::string& /*txn*/, const CallOptions& /*options*/) {
  return Error{Status::unsupported, "a DNS server holds no records", {}};
}

}  // namespace k4t::drivers
