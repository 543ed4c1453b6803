#include <algorithm>
#include <utility>

#include "world.hpp"

namespace k4t::simulation {

// The sets that decide the newest version or may decide one that was voted for since: of each a majority must be there,
// which is all that the protocol asks for.
std::vector<std::vector<model::Witness>> World::sets_that_may_decide() const {
  std::vector<std::vector<model::Witness>> sets;
  std::uint64_t newest = 0;
  if (watcher_.decided().empty()) {
    sets.push_back(first_set_);
  } else {
    const auto& [version, entry] = *watcher_.decided().rbegin();
    newest = version;
    sets = txn::deciding_sets(entry->state);
  }
  for (const auto& [txn, entry] : watcher_.voted_for()) {
    if (entry->record.version <= newest) continue;
    for (auto& set : txn::deciding_sets(entry->state)) sets.push_back(std::move(set));
  }
  return sets;
}

std::set<std::string> World::smallest_majority(const std::vector<model::Witness>& set, std::uint64_t draw) const {
  std::vector<std::string> alive;
  for (const auto& one : set) {
    const bool wiped = std::any_of(witnesses_.begin(), witnesses_.end(),
                                   [&](const Witness& has) { return has.at().id == one.id && has.wiped(); });
    if (!wiped) alive.push_back(one.id);
  }
  const std::size_t needed = set.size() / 2 + 1;
  // One after another is left out.
  while (alive.size() > needed) {
    alive.erase(alive.begin() + static_cast<std::ptrdiff_t>(draw % alive.size()));
    draw /= 8;
  }
  return {alive.begin(), alive.end()};
}

std::optional<std::string> World::recover(World after, std::uint64_t draw) {
  for (auto& message : after.messages_) message.late = true;
  const auto sets = after.sets_that_may_decide();
  after.reachable_.emplace();
  for (const auto& set : sets) {
    const auto chosen = after.smallest_majority(set, draw);
    after.reachable_->insert(chosen.begin(), chosen.end());
    draw = draw * 6364136223846793005ULL + 1442695040888963407ULL;
  }
  // It begins where somebody who knows any set still in force would send it.
  const auto& decided = after.watcher_.decided();
  const std::size_t in_force = decided.empty() ? 1 : txn::deciding_sets(decided.rbegin()->second->state).size();
  for (auto& server : after.servers_) server.away = false;
  after.config_.everything_travels = false;
  after.config_.stores = false;
  after.config_.courtesy = false;
  const std::size_t index = after.runs_.size();
  after.runs_.push_back(std::make_shared<Run>());
  Run& fresh = *after.runs_[index];
  fresh.proposed = after.config_.proposals;
  fresh.repairs = true;
  txn::Settings settings = after.settings_of(fresh, "z");
  settings.witnesses = fresh.began_with = sets[draw % in_force];
  fresh.coordinator.emplace(std::move(settings));
  after.send(index, fresh.coordinator->begin());
  // The network is perfect for it; old messages may stay away for ever.
  for (std::size_t at = 0; at < after.messages_.size();) {
    if (after.messages_[at].late) {
      ++at;
    } else {
      after.take({Choice::Kind::deliver, at, 0});
      at = 0;
    }
  }
  if (after.violation()) return after.violation();
  // Until the first version is decided every witness is needed.
  if (decided.empty()) return {};
  return after.check_caught_up(*fresh.coordinator);
}

std::optional<std::string> World::check_caught_up(const txn::Coordinator& fresh) const {
  const auto standing = [&](const Server& server) {
    const auto& latest = watcher_.decided().rbegin()->second;
    return txn::standing_of(kCluster, latest.get(), server.who(), std::get<Observation>(server.observe(nullptr)));
  };
  // Where users forced history twice, in two places, a third decision is theirs as well.
  const bool torn = watcher_.forced() && !watcher_.decided().empty() &&
                    std::any_of(servers_.begin(), servers_.end(),
                                [&](const Server& server) { return standing(server) == txn::Standing::ahead; });
  if (torn) return {};
  if (fresh.phase() != txn::Phase::closed) {
    return "I2: a fresh run ended as " + std::string(txn::to_string(fresh.phase())) +
           (fresh.why() ? ": " + fresh.why()->message : "");
  }
  if (watcher_.decided().empty()) return {};
  const auto& [version, entry] = *watcher_.decided().rbegin();
  if (!fresh.latest() || fresh.latest()->record.txn != entry->record.txn) {
    return "I2: a fresh run did not find version " + std::to_string(version);
  }
  for (const auto& server : servers_) {
    const model::State& state = entry->state;
    const auto& listed = server.who().group == txn::Group::gateway ? state.gateway_members : state.dns_members;
    if (std::find(listed.begin(), listed.end(), server.who().name) == listed.end()) continue;
    const Face& now = server.served();
    if (watcher_.forced() && standing(server) == txn::Standing::diverged) continue;
    const bool there = now.at && now.at->txn == entry->record.txn && now.whole() && now == server.stored();
    if (!there) return "I2: a fresh run could not catch up " + txn::to_string(server.who());
  }
  return {};
}

}  // namespace k4t::simulation
