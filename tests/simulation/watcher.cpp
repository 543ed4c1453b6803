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
  if (dropped_.contains(record.txn)) violate("a vote was given to " + version_of(entry) + ", which was dropped");
  if (record.version > 1 && !decided_txns_.contains(record.base)) {
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
  const auto [found, fresh] = decided_.emplace(entry->record.version, entry);
  if (!fresh && found->second->record.txn != entry->record.txn) {
    violate("I4: two states were decided for " + version_of(entry));
  }
}

void Watcher::served(const Server& server, const Face& was) {
  const Face& now = server.served();
  if (now == was) return;
  const std::string who = txn::to_string(server.who());
  for (const auto& part : now.parts) {
    if (!part.empty() && !is_decided(part)) violate("I1: " + who + " serves content that was not decided");
  }
  if (now.at && !is_decided(now.at->txn)) violate("I1: " + who + " shows a version that was not decided");
  if (!now.from && !now.whole()) violate("I1: " + who + " serves other content than its register says");
  const std::uint64_t before = was.at ? was.at->version : 0;
  const std::uint64_t after = now.at ? now.at->version : 0;
  if (after < before) {
    violate("I2: " + who + " went back from version " + std::to_string(before) + " to " + std::to_string(after));
  }
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
}

}  // namespace k4t::simulation
