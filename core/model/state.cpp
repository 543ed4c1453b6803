#include "model/state.hpp"

#include "k4t/digest.hpp"

namespace k4t::model {

K4T_JSON_DEFINE(Epoch, counter, run)
K4T_JSON_DEFINE(Forced, version, by, why, salt, discarded, diverged_gateways, diverged_dns, acknowledged)
K4T_JSON_DEFINE(State, gateways, dns, gateway_members, dns_members, witnesses, former_witnesses, forced)
K4T_JSON_DEFINE(Record, version, base, txn, state_text)
K4T_JSON_DEFINE(Vote, epoch, version, txn)
K4T_JSON_DEFINE(WitnessRegister, cluster, id, promised, holder, open, vote)

std::string txn_of(std::string_view base, std::uint64_t version, std::string_view state_text) {
  // The lengths are fixed or the last part's, so that no two inputs share one text.
  std::string text = base.empty() ? std::string(32, '0') : std::string(base);
  text += '\n' + std::to_string(version) + '\n';
  text += state_text;
  return sha256_hex(text).substr(0, 32);
}

Record make_record(std::string_view base_txn, std::uint64_t version, const State& state) {
  Record record{version, std::string(base_txn), {}, json_text(state)};
  record.txn = txn_of(record.base, record.version, record.state_text);
  return record;
}

bool is_authentic(const Record& record) { return record.txn == txn_of(record.base, record.version, record.state_text); }

}  // namespace k4t::model
