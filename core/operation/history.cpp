#include "operation/history.hpp"

#include <algorithm>

namespace k4t::operation {

K4T_JSON_DEFINE(Decision, version, txn, at_s, by, operation)
K4T_JSON_DEFINE(Contact, at_s, version)
namespace {

// The store's names for them.
constexpr const char* decisions_name = "decisions";
constexpr const char* contacts_name = "contacts";
/// Older ones are forgotten, so that noting one never becomes slow.
constexpr std::size_t most_decisions = 500;

}  // namespace

Result<std::vector<Decision>> decisions(store::Store& store) {
  K4T_ASSIGN(const auto kept, store.recall(decisions_name));
  if (!kept) return std::vector<Decision>{};
  return decode<std::vector<Decision>>(*kept);
}

Result<void> note_decision(store::Store& store, const Decision& decision) {
  K4T_ASSIGN(auto all, decisions(store));
  const auto known = [&](const Decision& one) { return one.txn == decision.txn; };
  if (std::any_of(all.begin(), all.end(), known)) return {};
  all.push_back(decision);
  if (all.size() > most_decisions) all.erase(all.begin());
  return store.remember(decisions_name, Json(all));
}

Result<Contacts> contacts(store::Store& store) {
  K4T_ASSIGN(const auto kept, store.recall(contacts_name));
  if (!kept) return Contacts{};
  return decode<Contacts>(*kept);
}

Result<void> note_contacts(store::Store& store, const std::vector<txn::Member>& members, store::Seconds now_s) {
  K4T_ASSIGN(auto all, contacts(store));
  for (const auto& member : members) {
    if (!member.seen) continue;
    all[txn::to_string(member.who)] = Contact{now_s, member.seen->served ? member.seen->served->version : 0};
  }
  return store.remember(contacts_name, Json(all));
}

std::optional<Lag> lag_of(const txn::Member& member, const txn::Entry& latest, const std::vector<Decision>& decisions) {
  using txn::Standing;
  const bool known = member.standing == Standing::blank || member.standing == Standing::behind ||
                     member.standing == Standing::current || member.standing == Standing::drifted ||
                     member.standing == Standing::half;
  if (!known || !member.seen) return std::nullopt;
  const std::uint64_t serves = member.seen->served ? member.seen->served->version : 0;
  if (serves > latest.record.version) return std::nullopt;
  Lag lag{latest.record.version - serves, {}};
  if (lag.versions == 0) return lag;
  for (const auto& decision : decisions) {
    if (decision.version == serves + 1) lag.since_s = decision.at_s;
  }
  return lag;
}

}  // namespace k4t::operation
