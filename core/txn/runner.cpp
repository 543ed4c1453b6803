#include "txn/runner.hpp"

#include <algorithm>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

#include "platform/steps.hpp"
#include "txn/workers.hpp"

namespace k4t::txn {
namespace {

/// How often inspect() follows records to witnesses that it did not know.
constexpr int kSetsFollowed = 4;

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

using Reply = decltype(Event::reply);

template <class T>
Reply as_reply(Result<T> result) {
  if (!result) return result.error();
  if constexpr (std::is_void_v<T>) {
    return Done{};
  } else {
    return *std::move(result);
  }
}

/// Names the moments right before and right after an effect.
template <class Call>
auto stepped(const std::string& what, Call call) {
  platform::step("before " + what);
  auto result = call();
  platform::step("after " + what);
  return result;
}

Error no_answer(const std::string& who) { return {Status::deadline, who + " did not answer in time", {}}; }

struct Words {
  std::string_view doing;
  std::string_view did;
};

Words words_of(const Action& action) {
  return std::visit(Overloaded{[](const action::Claim&) {
                                 return Words{"claiming", "claimed"};
                               },
                               [](const action::Vote&) {
                                 return Words{"voting", "voted"};
                               },
                               [](const action::Fetch&) {
                                 return Words{"fetching", "fetched"};
                               },
                               [](const action::Close&) {
                                 return Words{"closing", "closed"};
                               },
                               [](const action::Observe&) {
                                 return Words{"observing", "observed"};
                               },
                               [](const action::Prepare&) {
                                 return Words{"preparing", "prepared"};
                               },
                               [](const action::Commit&) {
                                 return Words{"committing", "committed"};
                               },
                               [](const action::Abort&) {
                                 return Words{"aborting", "aborted"};
                               },
                               [](const Note&) {
                                 return Words{"noting", "noted"};
                               }},
                    action.what);
}

/// The participant or the witness that an action goes to; neither for a note.
struct Addressee {
  std::optional<Participant> participant;
  std::string witness;
};

Addressee addressee_of(const Action& action) {
  return std::visit(
      [](const auto& what) -> Addressee {
        using What = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<What, Note>) {
          return {};
        } else if constexpr (requires { what.at.id; }) {
          return {{}, what.at.id};
        } else {
          return {what.at, {}};
        }
      },
      action.what);
}

std::string name_of(const Addressee& to) {
  return to.participant ? to_string(*to.participant) : "witness " + to.witness;
}

// What each action is on its port. Runs on a worker's thread.
Reply carry_out(WitnessPort& port, const action::Claim& what, const CallOptions& options) {
  return as_reply(stepped("claim " + what.at.id, [&] { return port.claim(what.request, options); }));
}
Reply carry_out(WitnessPort& port, const action::Vote& what, const CallOptions& options) {
  return as_reply(stepped("vote " + what.at.id, [&] { return port.vote(what.epoch, what.entry->record, options); }));
}
Reply carry_out(WitnessPort& port, const action::Fetch& what, const CallOptions& options) {
  return as_reply(port.fetch(what.txn, options));
}
Reply carry_out(WitnessPort& port, const action::Close& what, const CallOptions& options) {
  return as_reply(stepped("close " + what.at.id, [&] { return port.close(what.epoch, options); }));
}
Reply carry_out(ParticipantPort& port, const action::Observe& what, const CallOptions& options) {
  return as_reply(port.observe(what.expected.get(), options));
}
Reply carry_out(ParticipantPort& port, const action::Prepare& what, const CallOptions& options) {
  return as_reply(stepped("prepare " + to_string(what.at), [&] { return port.prepare(what.what, options); }));
}
Reply carry_out(ParticipantPort& port, const action::Commit& what, const CallOptions& options) {
  return as_reply(stepped("commit " + to_string(what.at), [&] { return port.commit(what.what, options); }));
}
Reply carry_out(ParticipantPort& port, const action::Abort& what, const CallOptions& options) {
  return as_reply(stepped("abort " + to_string(what.at), [&] { return port.abort(what.txn, options); }));
}

bool same(const EntryPtr& a, const EntryPtr& b) {
  return a == b || (a != nullptr && b != nullptr && a->record.txn == b->record.txn);
}

/// More than half show one vote and none that answered a higher one; or more than half answered and none ever voted.
bool agree(const std::vector<Peeked>& peeked) {
  const auto best = assess(peeked, {}).best;
  const auto agreeing = std::count_if(peeked.begin(), peeked.end(), [&](const Peeked& one) {
    return one.shown && (!best || (one.shown->has_value() && (*one.shown)->vote == best));
  });
  return 2 * static_cast<std::size_t>(agreeing) > peeked.size();
}

}  // namespace

class Runner::Impl {
 public:
  Impl(Ports& ports, Settings settings, const RunnerOptions& options)
      : ports_(ports),
        settings_(settings),
        options_(options),
        coordinator_(std::move(settings)),
        workers_(options.threads, [this](LogLevel level, std::string_view text) { listener().on_log(level, text); }) {}

  Assessment inspect();

  void drive(const Actions& actions) {
    tell_phase();
    dispatch(actions);
    while (!coordinator_.resting() && workers_.step()) tell_phase();
    tell_phase();
  }

  void drain() {
    while (workers_.step()) {
    }
  }

  [[nodiscard]] Result<void> ready() const {
    if (coordinator_.phase() == Phase::ready) return {};
    if (coordinator_.why()) return *coordinator_.why();
    return Error{Status::conflict, "this run is over", {}};
  }

  /// Deletes what runs that died left staged at members that answered: nothing depends on it, and a run that still
  /// lives prepares again where its own is gone. What a member is yet to be brought to stays.
  void sweep_stages();

  Coordinator& coordinator() { return coordinator_; }

 private:
  Listener& listener() { return options_.listener != nullptr ? *options_.listener : silent_; }

  void tell_phase() {
    if (told_ == coordinator_.phase()) return;
    told_ = coordinator_.phase();
    listener().on_phase(told_);
  }

  // Notes come last: the master's own disk works while the others do.
  void dispatch(const Actions& actions) {
    for (const auto& action : actions) {
      if (!std::holds_alternative<Note>(action.what)) start(action);
    }
    for (const auto& action : actions) {
      if (const auto* note = std::get_if<Note>(&action.what)) keep(action.id, *note);
    }
  }

  void keep(std::uint64_t id, const Note& note) {
    auto kept = stepped("note", [&] { return ports_.note(note); });
    if (!kept) listener().on_note_failed(kept.error());
    dispatch(coordinator_.on(Event{id, as_reply(std::move(kept))}));
  }

  template <class What>
  auto port_of(const What& what) {
    if constexpr (requires { what.at.id; }) {
      return ports_.witness(what.at);
    } else {
      return ports_.participant(what.at);
    }
  }

  void start(const Action& action) {
    tell(action, words_of(action).doing, {});
    std::visit(
        [&](const auto& what) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(what)>, Note>) start_on(action, what, port_of(what));
        },
        action.what);
  }

  template <class What, class Port>
  void start_on(const Action& action, const What& what, Result<Port*> port) {
    const auto finish = [this, action](Reply reply) { this->finish(action, std::move(reply)); };
    Workers::Job job = [finish, what, port](const CallOptions& options) -> Workers::Completion {
      Reply reply = port ? carry_out(**port, what, options) : Reply(port.error());
      return [finish, reply = std::move(reply)] { finish(reply); };
    };
    workers_.submit(timeout_of(action), std::move(job),
                    [finish, who = name_of(addressee_of(action))] { finish(no_answer(who)); });
  }

  [[nodiscard]] std::chrono::milliseconds timeout_of(const Action& action) const {
    const Deadlines& all = options_.deadlines;
    if (!addressee_of(action).participant) return all.witness;
    if (std::holds_alternative<action::Observe>(action.what)) return all.observe;
    return std::holds_alternative<action::Commit>(action.what) ? all.commit : all.prepare;
  }

  void finish(const Action& action, Reply reply) {
    tell_reply(action, reply);
    dispatch(coordinator_.on(Event{action.id, std::move(reply)}));
  }

  void tell_reply(const Action& action, const Reply& reply) {
    if (const auto* error = std::get_if<Error>(&reply)) {
      tell(action, "failed", error->message);
    } else if (const auto* answer = std::get_if<WitnessAnswer>(&reply); answer != nullptr && !answer->granted) {
      tell(action, "refused", answer->now.holder);
    } else {
      const auto* commit = std::get_if<CommitReply>(&reply);
      tell(action, words_of(action).did, commit != nullptr ? commit->evidence : std::string());
    }
  }

  void tell(const Action& action, std::string_view what, const std::string& why) {
    const Addressee to = addressee_of(action);
    if (to.participant) {
      listener().on_participant(*to.participant, what, why);
    } else if (!to.witness.empty()) {
      listener().on_witness(to.witness, what, why);
    }
  }

  // For inspect().
  void start_peeking(const std::vector<model::Witness>& witnesses, std::vector<Peeked>& peeked);
  EntryPtr find_record(const std::string& txn, const std::vector<Peeked>& peeked);
  std::vector<EntryPtr> find_records(std::vector<Peeked>& peeked);
  Assessment judge(std::vector<Peeked>& peeked);
  std::vector<Member> members_beside(const EntryPtr& latest) const;
  void observe_members(const EntryPtr& latest, std::vector<Member>& members);

  Ports& ports_;
  const Settings settings_;
  const RunnerOptions options_;
  Listener silent_;
  Coordinator coordinator_;
  Phase told_ = Phase::created;
  Workers workers_;  // last: its threads end before anything that they use
};

/// `peeked` outlives the peeking.
void Runner::Impl::start_peeking(const std::vector<model::Witness>& witnesses, std::vector<Peeked>& peeked) {
  for (const auto& witness : witnesses) {
    const bool known =
        std::any_of(peeked.begin(), peeked.end(), [&](const Peeked& one) { return one.at.id == witness.id; });
    if (known) continue;
    const std::size_t slot = peeked.size();
    peeked.push_back(Peeked{witness, no_answer("witness " + witness.id)});
    const auto port = ports_.witness(witness);
    Workers::Job job = [this, port, slot, &peeked](const CallOptions& options) -> Workers::Completion {
      auto shown = port ? (*port)->peek(options) : Result<std::optional<model::WitnessRegister>>(port.error());
      return [this, slot, &peeked, shown = std::move(shown)] {
        peeked[slot].shown = shown;
        listener().on_peeked(peeked[slot]);
      };
    };
    workers_.submit(options_.deadlines.witness, std::move(job),
                    [this, slot, &peeked] { listener().on_peeked(peeked[slot]); });
  }
}

EntryPtr Runner::Impl::find_record(const std::string& txn, const std::vector<Peeked>& peeked) {
  for (const auto& record : settings_.known_records) {
    if (record.txn != txn) continue;
    if (auto entry = read_record(record)) return *entry;
  }
  EntryPtr found;
  for (const auto& one : peeked) {
    if (found || !one.shown || !one.shown->has_value()) continue;
    const auto port = ports_.witness(one.at);
    if (!port) continue;
    bool over = false;
    Workers::Job job = [port, txn, &found, &over](const CallOptions& options) -> Workers::Completion {
      auto record = (*port)->fetch(txn, options);
      return [record = std::move(record), txn, &found, &over] {
        over = true;
        if (!record || record->txn != txn) return;
        if (auto entry = read_record(*record)) found = *entry;
      };
    };
    workers_.submit(options_.deadlines.witness, std::move(job), [&over] { over = true; });
    while (!over) workers_.step();
  }
  return found;
}

/// The record of the best vote, after following it to the witnesses that it names, and of its base.
std::vector<EntryPtr> Runner::Impl::find_records(std::vector<Peeked>& peeked) {
  std::vector<EntryPtr> records;
  for (int round = 0; round < kSetsFollowed; ++round) {
    const auto best = assess(peeked, {}).best;
    if (!best) return {};
    const EntryPtr entry = find_record(best->txn, peeked);
    if (!entry) return {};
    records.assign(1, entry);
    const std::size_t before = peeked.size();
    for (const auto& set : deciding_sets(entry->state)) start_peeking(set, peeked);
    if (peeked.size() == before) break;
    drain();
  }
  if (assess(peeked, records).unfinished && !records.front()->record.base.empty()) {
    if (auto base = find_record(records.front()->record.base, peeked)) records.push_back(base);
  }
  return records;
}

/// What is decided stays so whatever the silent ones say: they are waited for only where the others do not settle it.
Assessment Runner::Impl::judge(std::vector<Peeked>& peeked) {
  while (!agree(peeked) && workers_.step()) {
  }
  Assessment result = assess(peeked, find_records(peeked));
  if (!result.unfinished) return result;
  drain();
  return assess(peeked, find_records(peeked));
}

/// Those that `latest` lists and those that are configured, unknown as yet.
std::vector<Member> Runner::Impl::members_beside(const EntryPtr& latest) const {
  std::set<Participant> listed;
  if (latest) {
    for (const auto& name : latest->state.gateway_members) listed.insert({Group::gateway, name});
    for (const auto& name : latest->state.dns_members) listed.insert({Group::dns, name});
  }
  std::set<Participant> all = listed;
  for (const auto& name : settings_.gateways) all.insert({Group::gateway, name});
  for (const auto& name : settings_.dns) all.insert({Group::dns, name});

  std::vector<Member> members;
  for (const auto& who : all) {
    members.push_back({who, listed.contains(who), Standing::unknown, {}, no_answer(to_string(who))});
  }
  return members;
}

/// Returns when all that was under way has ended, peeks too.
void Runner::Impl::observe_members(const EntryPtr& latest, std::vector<Member>& members) {
  for (auto& member : members) {
    const auto port = ports_.participant(member.who);
    Workers::Job job = [this, port, latest, &member](const CallOptions& options) -> Workers::Completion {
      auto seen = port ? (*port)->observe(latest.get(), options) : Result<Observation>(port.error());
      return [this, seen = std::move(seen), latest, &member] {
        member.why.reset();
        if (seen) {
          member.seen = *seen;
          member.standing = standing_of(settings_.cluster, latest.get(), member.who, *seen);
        } else {
          member.why = seen.error();
        }
        listener().on_observed(member);
      };
    };
    workers_.submit(options_.deadlines.observe, std::move(job), [this, &member] { listener().on_observed(member); });
  }
  drain();
}

void Runner::Impl::sweep_stages() {
  const EntryPtr& latest = coordinator_.latest();
  for (const auto& member : coordinator_.members()) {
    const auto port = ports_.participant(member.who);
    if (!member.seen || !port) continue;
    for (const auto& txn : member.seen->staged) {
      if (latest && txn == latest->record.txn && member.standing != Standing::current) continue;
      Workers::Job job = [port, txn, who = member.who](const CallOptions& options) -> Workers::Completion {
        static_cast<void>(carry_out(**port, action::Abort{who, txn}, options));
        return [] {};
      };
      workers_.submit(options_.deadlines.prepare, std::move(job), [] {});
    }
  }
  drain();
}

Assessment Runner::Impl::inspect() {
  std::vector<Peeked> peeked;
  start_peeking(settings_.witnesses, peeked);
  Assessment result = judge(peeked);
  for (bool again = true; again;) {
    result.members = members_beside(result.latest);
    listener().on_decided(result);
    auto members = std::move(result.members);
    observe_members(result.latest, members);
    const EntryPtr judged_against = result.latest;
    result = assess(peeked, find_records(peeked));
    again = !same(judged_against, result.latest);
    result.members = std::move(members);
  }
  return result;
}

Runner::Runner(Ports& ports, Settings settings, RunnerOptions options)
    : impl_(std::make_unique<Impl>(ports, std::move(settings), options)) {}
Runner::~Runner() = default;

Assessment Runner::inspect() { return impl_->inspect(); }

Result<void> Runner::begin() {
  if (impl_->coordinator().phase() != Phase::created) return Error{Status::conflict, "this run has begun before", {}};
  impl_->drive(impl_->coordinator().begin());
  K4T_TRY(impl_->ready());
  impl_->sweep_stages();
  return {};
}

Result<void> Runner::observe() {
  K4T_TRY(impl_->ready());
  impl_->drive(impl_->coordinator().observe());
  return impl_->ready();
}

Result<Outcome> Runner::propose(const model::State& state) {
  K4T_TRY(impl_->ready());
  impl_->drive(impl_->coordinator().propose(state));
  return impl_->coordinator().outcome();
}

Result<void> Runner::catch_up(const CatchUp& what) {
  K4T_TRY(impl_->ready());
  impl_->drive(impl_->coordinator().catch_up(what));
  return impl_->ready();
}

void Runner::close() {
  if (impl_->coordinator().resting()) impl_->drive(impl_->coordinator().close());
  impl_->drain();
}

const Coordinator& Runner::coordinator() const { return impl_->coordinator(); }

}  // namespace k4t::txn
