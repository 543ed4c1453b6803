#pragma once

#include <map>
#include <optional>
#include <string>

#include "config.hpp"
#include "hash.hpp"
#include "reply.hpp"

namespace k4t::simulation {

/// A witness with a simulated disk. A correct one replaces the register by one that holds the vote's record too, keeps
/// the record of the vote that it replaces, syncs, then answers: so a power cut in the middle of a call (`cut`) can
/// take the new register with its record, never an older one, and one between calls takes nothing.
/// One in DNS holds no records: before it is asked to vote, the record is kept in folders, which outlive the register.
class Witness {
 public:
  Witness(model::Witness at, bool made);

  Reply claim(const Config& config, const txn::ClaimRequest& request, bool cut);
  Reply vote(const Config& config, const model::Epoch& epoch, const txn::EntryPtr& entry, bool cut);
  [[nodiscard]] Reply fetch(const std::string& txn) const;
  Reply close(const Config& config, const model::Epoch& epoch, bool cut);

  /// The machine is switched off and on again.
  void restart();
  /// Register and records are lost, for ever.
  void wipe();
  /// An empty register, where there is none.
  void make();

  [[nodiscard]] const model::Witness& at() const { return at_; }
  [[nodiscard]] const std::optional<model::WitnessRegister>& held() const { return held_; }
  [[nodiscard]] bool holds_record(const std::string& txn) const { return records_.contains(txn); }
  [[nodiscard]] bool wiped() const { return wiped_; }
  void hash_into(Hash& hash) const;

 private:
  void store(const Config& config, const model::WitnessRegister& next, const txn::EntryPtr& record, bool cut);

  model::Witness at_;
  std::optional<model::WitnessRegister> held_;
  std::map<std::string, txn::EntryPtr> records_;
  bool wiped_ = false;
  /// The register before a write that was not synced; only a mistake leaves one.
  std::optional<model::WitnessRegister> synced_;
  bool unsynced_ = false;
};

}  // namespace k4t::simulation
