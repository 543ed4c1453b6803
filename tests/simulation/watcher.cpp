#include "watcher.hpp"

#include <algorithm>

namespace k4t::simulation {
namespace {

std::string version_of(const txn::EntryPtr& entry) { return "version " + std::to_string(entry->record.version); }

}  // namespace

void Watcher::violate(const std::string& what) {
  if (!violation_) violation_ = what;
}

// A version is decided as soon as majorities have voted for it in one epoch, whoever knows of it.
void Watcher::voted(const std::string& by, const model::Epoch& epoch, const txn::EntryPtr& entry) {
  const model::Record& record = entry->record;
  auto& voters = votes_[model::Vote{epoch, record.version, record.txn}];
  if (!voters.insert(by).second) return;
  voted_for_.emplace(record.txn, entry);
  const std::size_t history = place(entry);
  const bool root = history > 0 && histories_[history].root->record.txn == record.txn;
  if (dropped_.contains(record.txn)) violate("a vote was given to " + version_of(entry) + ", which was dropped");
  if (record.version > 1 && !root && !decided_txns_.contains(record.base)) {
    violate("I4: " + version_of(entry) + " was voted for, and its base is not decided");
  }
  const auto sets = txn::deciding_sets(entry->state);
  const bool majority = std::all_of(sets.begin(), sets.end(), [&](const auto& set) {
    return txn::majority_of(set, [&](const std::string& id) { return voters.contains(id); });
  });
  if (majority) decide(entry);
}

void Watcher::decide(const txn::EntryPtr& entry) {
  decided_txns_.insert(entry->record.txn);
  const std::size_t history = history_of(entry->record.txn);
  newest_ = std::max(newest_, history);
  const auto [found, fresh] = histories_[history].decided.emplace(entry->record.version, entry);
  if (!fresh && found->second->record.txn != entry->record.txn) {
    violate("I4: two states were decided for " + version_of(entry));
  }
}

/// The history that the version belongs to, which it begins where it is a forced one.
std::size_t Watcher::place(const txn::EntryPtr& entry) {
  const model::Record& record = entry->record;
  if (const auto known = places_.find(record.txn); known != places_.end()) return known->second;
  std::size_t history = history_of(record.base);
  if (entry->state.forced && entry->state.forced->version == record.version) {
    histories_.push_back({entry, history, {}});
    history = histories_.size() - 1;
  }
  if (history > 0) places_.emplace(record.txn, history);
  return history;
}

std::size_t Watcher::history_of(const std::string& txn) const {
  const auto found = places_.find(txn);
  return found == places_.end() ? 0 : found->second;
}

bool Watcher::descends(std::size_t history, std::size_t from) const {
  while (history > from) history = histories_[history].parent;
  return history == from;
}

void Watcher::judge_history(const Server& server, const Face& was) {
  const Face& now = server.served();
  if (!now.at) return;
  const std::size_t after = history_of(now.at->txn);
  const auto silent = after == 0 ? silent_.end() : silent_.find(histories_[after].root->record.txn);
  if (!was.at) {
    // An empty machine has taken its place and joined: what the old one's disk holds is the past from now on.
    if (silent != silent_.end()) silent->second.erase(server.who());
    return;
  }
  const std::size_t before = history_of(was.at->txn);
  if (before == after) return;
  const std::string who = txn::to_string(server.who());
  if (descends(before, after)) violate("F1: " + who + " went back into a history that was left behind");
  if (silent != silent_.end() && silent->second.contains(server.who())) {
    violate("F2: " + who + " did not answer when history was forced, and nobody asked to overwrite it");
  }
}

void Watcher::served(const Server& server, const Face& was, Leave leave) {
  const Face& now = server.served();
  if (now == was) return;
  const std::string who = txn::to_string(server.who());
  for (const auto& part : now.parts) {
    if (!part.empty() && part != kByHand && !is_decided(part))
      violate("I1: " + who + " serves content that was not decided");
  }
  if (now.at && !is_decided(now.at->txn)) violate("I1: " + who + " shows a version that was not decided");
  if (!now.from && !now.whole()) violate("I1: " + who + " serves other content than its register says");
  const std::uint64_t before = was.at ? was.at->version : 0;
  const std::uint64_t after = now.at ? now.at->version : 0;
  if (after < before) {
    violate("I2: " + who + " went back from version " + std::to_string(before) + " to " + std::to_string(after));
  }
  if (!leave.overwrites) judge_history(server, was);
  const bool by_hand = was.at && now.at && was.parts.front() == kByHand && was.at->txn == now.at->txn;
  if (by_hand && !leave.repairs && !leave.overwrites) violate("R1: a change by hand at " + who + " was undone unasked");
}

void Watcher::reported_served(const Server& server, const Register& target) {
  const Face& now = server.served();
  if (!now.at || now.at->version < target.version) {
    violate("I2: " + txn::to_string(server.who()) + " reported version " + std::to_string(target.version) +
            " and does not serve it");
  }
}

void Watcher::concluded(const txn::Outcome& outcome) {
  if (outcome.verdict == txn::Verdict::decided && !is_decided(outcome.txn)) {
    violate("a run says that version " + std::to_string(outcome.version) + " is decided, and it is not");
  }
  if (outcome.verdict != txn::Verdict::dropped) return;
  dropped_.insert(outcome.txn);
  if (voted_for_.contains(outcome.txn)) {
    violate("a run dropped version " + std::to_string(outcome.version) + ", which was voted for");
  }
}

void Watcher::believes(const txn::EntryPtr& latest) {
  if (latest && !is_decided(latest->record.txn)) {
    violate("a run takes " + version_of(latest) + " for decided, and it is not");
  }
}

void Watcher::hash_into(Hash& hash) const {
  for (const auto& [vote, voters] : votes_) {
    hash << vote;
    for (const auto& id : voters) hash << id;
  }
  for (const auto& txn : dropped_) hash << txn;
  for (const auto& [txn, members] : silent_) {
    hash << txn;
    for (const auto& who : members) hash << txn::to_string(who);
  }
}

}  // namespace k4t::simulation
