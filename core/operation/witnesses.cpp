#include "operation/witnesses.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "k4t/digest.hpp"

namespace k4t::operation {
namespace {

/// "-x" and six hex digits.
constexpr std::size_t drawn_digits = 6;
constexpr std::string_view drawn_mark = "-x";

bool same_place(const model::Witness& a, const model::Witness& b) { return a == under_id(b, a.id); }

bool contains(const std::vector<model::Witness>& all, const std::string& id) {
  return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.id == id; });
}

}  // namespace

std::string witness_base(const std::string& id) {
  const auto length = drawn_mark.size() + drawn_digits;
  if (id.size() <= length) return id;
  const auto ending = id.substr(id.size() - length);
  const bool drawn = ending.starts_with(drawn_mark) &&
                     ending.find_first_not_of("0123456789abcdef", drawn_mark.size()) == std::string::npos;
  return drawn ? id.substr(0, id.size() - length) : id;
}

model::Witness under_id(model::Witness witness, const std::string& id) {
  witness.id = id;
  return witness;
}

std::string fresh_witness_id(const std::string& id, const std::string& run) {
  return witness_base(id) + std::string(drawn_mark) + sha256_hex(run + ' ' + id).substr(0, drawn_digits);
}

const model::Witness* find_witness(const std::vector<model::Witness>& among, const std::string& id) {
  const auto find = [&](auto fits) -> const model::Witness* {
    const auto found = std::find_if(among.begin(), among.end(), fits);
    return found == among.end() ? nullptr : &*found;
  };
  if (const auto* exact = find([&](const auto& one) { return one.id == id; })) return exact;
  const std::string base = witness_base(id);
  // One side must be the plain id: two drawn endings are two registers.
  return find([&](const auto& one) { return one.id == base || (id == base && witness_base(one.id) == id); });
}

void complete(WitnessChange& change, const std::vector<model::Witness>& decided) {
  change.next.clear();
  for (const auto& witness : decided) {
    if (!contains(change.removed, witness.id) && !contains(change.moved, witness.id)) change.next.push_back(witness);
  }
  change.next.insert(change.next.end(), change.moved.begin(), change.moved.end());
  change.next.insert(change.next.end(), change.added.begin(), change.added.end());
  std::sort(change.next.begin(), change.next.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
}

WitnessChange wished_witnesses(const std::vector<model::Witness>& configured,
                               const std::vector<model::Witness>& decided, const std::string& run) {
  WitnessChange change;
  std::set<std::string> kept;
  for (const auto& wish : configured) {
    const auto* now = find_witness(decided, wish.id);
    if (now == nullptr) {
      change.added.push_back(under_id(wish, fresh_witness_id(wish.id, run)));
      continue;
    }
    kept.insert(now->id);
    if (!same_place(*now, wish)) change.moved.push_back(under_id(wish, now->id));
  }
  for (const auto& witness : decided) {
    if (!kept.contains(witness.id)) change.removed.push_back(witness);
  }
  complete(change, decided);
  return change;
}

bool decides_without_folders(const std::vector<model::Witness>& witnesses) {
  const auto in_dns = std::count_if(witnesses.begin(), witnesses.end(), [](const auto& one) { return one.dns; });
  return 2 * static_cast<std::size_t>(in_dns) > witnesses.size();
}

std::vector<std::string> describe(const WitnessChange& change) {
  std::vector<std::string> lines;
  for (const auto& one : change.removed) lines.push_back("- witness " + one.id + " on " + model::place_of(one));
  for (const auto& one : change.added) lines.push_back("+ witness " + one.id + " on " + model::place_of(one));
  for (const auto& one : change.moved) lines.push_back("~ witness " + one.id + " is now on " + model::place_of(one));
  return lines;
}

std::vector<Advice> advise(const std::vector<model::Witness>& witnesses,
                           const std::vector<model::RecordFolder>& records) {
  std::vector<Advice> all;
  std::map<std::string, std::vector<std::string>> by_host;
  for (const auto& one : witnesses) by_host[model::machine_of(one.host)].push_back(one.id);
  const bool kept = std::any_of(records.begin(), records.end(), [](const auto& one) { return one.host != "local"; });
  if (!kept && decides_without_folders(witnesses)) {
    all.push_back(
        {"DNS servers can decide alone, and they hold no records: of such a change the master has the only copy",
         "name a folder on another machine with a [[record]] table"});
  }
  const auto local = by_host.find("local");
  if (witnesses.size() == 1) {
    const bool here = local != by_host.end();
    all.push_back({here ? "the only witness is on this machine: losing it loses the redo log, and a clone of this "
                          "machine is not fenced off"
                        : "there is one witness: while its machine is down nothing can be changed, and losing it needs "
                          "`k4t txn recover --force`",
                   "name three or five machines with [[witness]] tables: gateway hosts first, then nodes that are "
                   "never powered off, then other SSH hosts, then DNS servers; `k4t witness suggest` prints tables"});
    return all;
  }
  for (const auto& [host, ids] : by_host) {
    if (ids.size() == 1) continue;
    all.push_back(
        {listed(ids) + " are on one machine (" + host + "), which counts " + std::to_string(ids.size()) + " times",
         "put each witness on a machine of its own"});
  }
  if (local != by_host.end() && witnesses.size() < 3) {
    all.push_back({"witness " + local->second.front() +
                       " is on the master's own machine, so that a clone of it votes "
                       "twice",
                   "put it on another machine"});
  }
  if (witnesses.size() % 2 == 0) {
    all.push_back({"of " + std::to_string(witnesses.size()) + " witnesses " + std::to_string(witnesses.size() / 2 - 1) +
                       " may be down, as many as of " + std::to_string(witnesses.size() - 1),
                   "an odd number loses nothing: add one, or take one out"});
  }
  return all;
}

Result<void> check_witnesses(Run& run, const WitnessChange& change, const txn::Assessment& assessment) {
  if (change.next.empty()) return Error{k4t::Status::invalid_argument, "a cluster needs at least one witness", {}};
  std::set<std::string> answers;
  for (const auto& one : assessment.witnesses) {
    if (one.shown && one.shown->has_value()) answers.insert(one.at.id);
  }
  for (const auto& witness : change.moved) {
    const auto shown = run.peek(witness);
    if (!shown) return shown.error().within("witness " + witness.id + " at its new place");
    if (!shown->has_value()) {
      return Error{k4t::Status::conflict,
                   "there is no register of witness " + witness.id + " at " + model::place_of(witness) +
                       ": bring its folder there as it is, or give the machine a new register with `k4t witness "
                       "replace " +
                       witness.id + "`",
                   {}};
    }
    answers.insert(witness.id);
  }
  std::vector<std::string> missing;
  for (const auto& witness : change.next) {
    // Those that join must all answer anyway.
    if (!answers.contains(witness.id) && !contains(change.added, witness.id)) missing.push_back(witness.id);
  }
  if (2 * (change.next.size() - missing.size()) > change.next.size()) return {};
  return Error{k4t::Status::unavailable,
               "of the " + std::to_string(change.next.size()) +
                   " witnesses that would decide from then on, too few answer; without an answer or a register: " +
                   listed(missing) + ". Bring one back, or replace or remove it in the same change",
               {}};
}

Result<txn::Outcome> change_witnesses(Run& run, const WitnessChange& change) {
  model::State state = run.latest()->state;
  state.witnesses = change.next;
  K4T_ASSIGN(auto changed, run.propose(state));
  if (changed.verdict != txn::Verdict::decided) return changed;
  K4T_ASSIGN(auto settled, settle_witnesses(run));
  return settled && settled->verdict != txn::Verdict::dropped ? *settled : changed;
}

bool asks_former_witnesses(const txn::EntryPtr& latest) {
  return latest != nullptr && latest->state.former_witnesses.has_value();
}

Result<std::optional<txn::Outcome>> settle_witnesses(Run& run) {
  if (!asks_former_witnesses(run.latest())) return std::optional<txn::Outcome>();
  K4T_ASSIGN(auto settled, run.propose(run.latest()->state));
  return std::optional(std::move(settled));
}

}  // namespace k4t::operation
