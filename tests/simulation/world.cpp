#include "world.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace k4t::simulation {
namespace {

using txn::Action;
using txn::Done;
using txn::Group;
using Kind = Choice::Kind;

/// Sets of witnesses are drawn from w1 to w8.
constexpr int kMostWitnesses = 8;
/// How many earlier states of a store or a participant are worth going back to.
constexpr std::size_t kPast = 4;

template <class T>
bool is(const Action& action) {
  return std::holds_alternative<T>(action.what);
}

int most_wiped(std::size_t size) { return (static_cast<int>(size) - 1) / 2; }

}  // namespace

World::World(Config config) : config_(std::move(config)) {
  int highest = config_.witnesses;
  for (const auto& set : config_.sets) {
    for (const int n : set) highest = std::max(highest, std::min(n, kMostWitnesses));
  }
  for (int n = 1; n <= highest; ++n) {
    const std::string id = "w" + std::to_string(n);
    model::Witness at{id, "local", "/" + id};
    if (n <= config_.witnesses && n > config_.witnesses - config_.in_dns) at.dns = "dns1";
    witnesses_.emplace_back(std::move(at), n <= config_.witnesses && !config_.fresh);
  }
  numbered_ = witnesses_.size();
  for (int n = 0; n < config_.witnesses; ++n) first_set_.push_back(witnesses_[static_cast<std::size_t>(n)].at());
  for (int n = 1; n <= config_.gateways; ++n)
    servers_.emplace_back(txn::Participant{Group::gateway, "gw" + std::to_string(n)});
  for (int n = 1; n <= config_.dns; ++n) servers_.emplace_back(txn::Participant{Group::dns, "dns" + std::to_string(n)});
  hosts_.resize(static_cast<std::size_t>(config_.hosts));
  for (auto& host : hosts_) {
    // Where the registers are there, some run has noted that it made them.
    if (config_.fresh) continue;
    Store store;
    for (const auto& one : first_set_) store.initialised.insert(one.id);
    host.store = std::make_shared<const Store>(std::move(store));
  }
  for (int n = 0; n < config_.runs; ++n) runs_.push_back(std::make_shared<Run>());
}

void World::choices(std::vector<Choice>& all) const {
  all.clear();
  message_choices(all);
  for (std::size_t at = 0; at < runs_.size(); ++at) {
    const Run& run = *runs_[at];
    // Runs are alike until they begin, so they begin in order.
    const bool next = !run.coordinator && (at == 0 || runs_[at - 1]->coordinator);
    for (std::size_t host = 0; next && host < hosts_.size(); ++host) all.push_back({Kind::start, at, host});
    const bool alive = run.coordinator && !run.dead && !run.coordinator->resting();
    if (config_.crashes > 0 && alive) all.push_back({Kind::crash, at, 0});
  }
  machine_choices(all);
  if (config_.store_faults > 0) store_choices(all);
  if (config_.forces > 0) force_choices(all);
}

void World::message_choices(std::vector<Choice>& all) const {
  const auto add = [&](bool possible, Kind kind, std::size_t index) {
    if (possible) all.push_back({kind, index, 0});
  };
  bool waits = false;
  for (std::size_t at = 0; at < messages_.size(); ++at) {
    const Message& message = messages_[at];
    add(message.late, Kind::late, at);
    if (message.late) continue;
    add(true, Kind::deliver, at);
    const Action& action = *message.action;
    const bool note = is<txn::Note>(action);
    waits = waits || !note;
    const bool faulty = config_.faults > 0;
    add(faulty, Kind::lose, at);
    for (const Kind kind : {Kind::lose_answer, Kind::delay, Kind::repeat}) add(faulty && !note, kind, at);
    const bool commit = is<txn::action::Commit>(action);
    add(faulty && commit, Kind::half, at);
    add(faulty && config_.refusals && is<txn::action::Prepare>(action), Kind::refuse, at);
    const bool writes =
        commit || is<txn::action::Claim>(action) || is<txn::action::Vote>(action) || is<txn::action::Close>(action);
    add(config_.cuts > 0 && writes, Kind::cut, at);
  }
  add(config_.clock && config_.faults > 0 && waits, Kind::expire, 0);
}

// Of every set at most a minority is lost; more than that no protocol survives.
bool World::may_wipe(std::size_t index) const {
  if (!witnesses_[index].held() || index >= numbered_) return false;
  const auto wiped = [&](int number) { return witnesses_[static_cast<std::size_t>(number - 1)].wiped() ? 1 : 0; };
  int of_first = 0;
  for (int n = 1; n <= config_.witnesses; ++n) of_first += wiped(n);
  const int number = static_cast<int>(index) + 1;
  if (number <= config_.witnesses && of_first >= most_wiped(static_cast<std::size_t>(config_.witnesses))) return false;
  return std::all_of(config_.sets.begin(), config_.sets.end(), [&](const std::vector<int>& set) {
    int of_set = 0;
    for (const int n : set) of_set += wiped(n);
    return std::find(set.begin(), set.end(), number) == set.end() || of_set < most_wiped(set.size());
  });
}

void World::machine_choices(std::vector<Choice>& all) const {
  for (std::size_t at = 0; at < witnesses_.size(); ++at) {
    if (config_.wipes > 0 && may_wipe(at)) all.push_back({Kind::wipe, at, 0});
    if (config_.cuts > 0 && witnesses_[at].held()) all.push_back({Kind::reboot_witness, at, 0});
  }
  for (std::size_t at = 0; at < servers_.size(); ++at) {
    const Server& server = servers_[at];
    if (config_.cuts > 0) all.push_back({Kind::reboot_server, at, 0});
    if (server.away) all.push_back({Kind::come_back, at, 0});
    const bool whole = server.served().at && server.served().whole() && server.stored() == server.served();
    if (config_.drifts > 0 && whole) all.push_back({Kind::drift, at, 0});
    if (config_.replacements == 0) continue;
    if (!server.away) all.push_back({Kind::leave, at, 0});
    if (server.stored().at) all.push_back({Kind::replace, at, 0});
    for (std::size_t n = 0; n + 1 < server.past(); ++n) all.push_back({Kind::rewind, at, n});
  }
}

void World::store_choices(std::vector<Choice>& all) const {
  for (std::size_t at = 0; at < hosts_.size(); ++at) {
    all.push_back({Kind::lose_store, at, 0});
    const std::size_t changes = hosts_[at].past.size();
    for (std::size_t n = changes > kPast ? changes - kPast : 0; n < changes; ++n) {
      all.push_back({Kind::rewind_store, at, n});
    }
    for (std::size_t other = 0; other < hosts_.size(); ++other) {
      if (other != at) all.push_back({Kind::clone_store, at, other});
    }
  }
}

void World::spend(Kind kind) {
  switch (kind) {
    case Kind::start:
    case Kind::deliver:
    case Kind::late:
    case Kind::come_back: break;
    case Kind::crash: --config_.crashes; break;
    case Kind::wipe: --config_.wipes; break;
    case Kind::cut:
    case Kind::reboot_witness:
    case Kind::reboot_server: --config_.cuts; break;
    case Kind::leave:
    case Kind::replace:
    case Kind::rewind: --config_.replacements; break;
    case Kind::lose_store:
    case Kind::rewind_store:
    case Kind::clone_store: --config_.store_faults; break;
    case Kind::drift: --config_.drifts; break;
    case Kind::force: --config_.forces; break;
    default: --config_.faults;
  }
}

void World::take(const Choice& choice) {
  spend(choice.kind);
  now_ += std::chrono::milliseconds(1);
  switch (choice.kind) {
    case Kind::start: start(choice.index, choice.detail); return;
    case Kind::expire: expire(); return;
    case Kind::deliver:
    case Kind::late:
    case Kind::lose:
    case Kind::lose_answer:
    case Kind::delay:
    case Kind::repeat:
    case Kind::half:
    case Kind::refuse:
    case Kind::cut: take_message(choice); return;
    default: take_disturbance(choice);
  }
}

void World::take_message(const Choice& choice) {
  Message message = remove_message(choice.index);
  switch (choice.kind) {
    case Kind::lose: answer(message, no_answer()); break;
    case Kind::refuse: answer(message, Error{Status::invalid_argument, "the checker says no", {}}); break;
    case Kind::late: execute(message, {}); break;
    case Kind::lose_answer:
      execute(message, {});
      answer(message, too_late());
      break;
    case Kind::delay:
      messages_.push_back(message);
      messages_.back().late = true;
      answer(message, too_late());
      break;
    case Kind::half: answer(message, execute(message, {false, true})); break;
    case Kind::cut:
      execute(message, {true, false});
      answer(message, no_answer());
      break;
    default: {
      if (choice.kind == Kind::repeat) {
        messages_.push_back(message);
        messages_.back().late = true;
      }
      Reply reply = execute(message, {});
      if (message.step && message.step->more) {
        messages_.push_back(std::move(message));
      } else {
        answer(message, std::move(reply));
      }
    }
  }
}

void World::take_disturbance(const Choice& choice) {
  const std::size_t at = choice.index;
  switch (choice.kind) {
    case Kind::crash:
      run(at).dead = true;
      for (auto& message : messages_) message.late = message.late || message.run == at;
      // A store is written by a living master only.
      std::erase_if(messages_, [&](const Message& one) { return one.run == at && is<txn::Note>(*one.action); });
      break;
    case Kind::wipe: witnesses_[at].wipe(); break;
    case Kind::reboot_witness: witnesses_[at].restart(); break;
    case Kind::reboot_server: {
      const Face was = servers_[at].served();
      servers_[at].restart();
      watcher_.served(servers_[at], was, {});
      break;
    }
    case Kind::leave: servers_[at].away = true; break;
    case Kind::come_back: servers_[at].away = false; break;
    case Kind::replace: servers_[at].replace(); break;
    case Kind::rewind: servers_[at].rewind(choice.detail); break;
    case Kind::lose_store: set_store(at, std::make_shared<const Store>()); break;
    case Kind::rewind_store: set_store(at, hosts_[at].past.at(choice.detail)); break;
    case Kind::clone_store: set_store(at, hosts_[choice.detail].store); break;
    case Kind::drift: servers_[at].drift(); break;
    case Kind::force: force(at, choice.detail); break;
    default: break;
  }
}

void World::set_store(std::size_t host, std::shared_ptr<const Store> next) {
  hosts_[host].past.push_back(std::exchange(hosts_[host].store, std::move(next)));
}

// Everything that waits for this moment gives up at once; what it sent still travels.
void World::expire() {
  auto next = std::chrono::milliseconds::max();
  for (const auto& message : messages_) {
    if (!message.late && !is<txn::Note>(*message.action)) next = std::min(next, message.deadline);
  }
  now_ = std::max(now_, next);
  std::vector<Message> expired;
  for (auto& message : messages_) {
    if (message.late || is<txn::Note>(*message.action) || message.deadline > now_) continue;
    expired.push_back(message);
    message.late = true;
  }
  for (const auto& message : expired) answer(message, too_late());
}

World::Message World::remove_message(std::size_t index) {
  Message message = std::move(messages_[index]);
  messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(index));
  return message;
}

Witness& World::witness(const model::Witness& at) {
  return *std::find_if(witnesses_.begin(), witnesses_.end(),
                       [&](const Witness& one) { return one.at().path == at.path; });
}

Reply World::execute(Message& message, How how) {
  const Action& action = *message.action;
  return std::visit(
      [&](const auto& what) -> Reply {
        using What = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<What, txn::Note>) {
          return keep(message.run, what);
        } else if constexpr (requires { what.at.id; }) {
          if (reachable_ && !reachable_->contains(what.at.id)) return no_answer();
          return ask_witness(witness(what.at), action, how);
        } else {
          const auto server =
              std::find_if(servers_.begin(), servers_.end(), [&](const Server& one) { return one.who() == what.at; });
          if (server->away) {
            message.step = nullptr;
            return no_answer();
          }
          return ask_server(*server, message, how);
        }
      },
      action.what);
}

Reply World::ask_witness(Witness& at, const Action& action, How how) {
  if (const auto* claim = std::get_if<txn::action::Claim>(&action.what)) {
    return at.claim(config_, claim->request, how.cut);
  }
  if (const auto* vote = std::get_if<txn::action::Vote>(&action.what)) {
    Reply reply = at.vote(config_, vote->epoch, vote->entry, how.cut);
    const auto* answer = std::get_if<txn::WitnessAnswer>(&reply);
    const model::Vote given{vote->epoch, vote->entry->record.version, vote->entry->record.txn};
    const bool stored = at.held() && at.held()->vote == given;
    const bool answered = answer != nullptr && answer->granted && !how.cut;
    if (stored || answered) watcher_.voted(at.at().id, vote->epoch, vote->entry);
    return reply;
  }
  if (const auto* fetch = std::get_if<txn::action::Fetch>(&action.what)) return at.fetch(fetch->txn);
  return at.close(config_, std::get<txn::action::Close>(action.what).epoch, how.cut);
}

Reply World::ask_server(Server& server, Message& message, How how) {
  const Action& action = *message.action;
  if (const auto* observe = std::get_if<txn::action::Observe>(&action.what)) {
    Reply reply = server.observe(observe->expected);
    // A commit that has begun, perhaps to undo that change, is to be finished whatever stands there.
    const auto* seen = std::get_if<Observation>(&reply);
    const bool half = seen != nullptr && seen->half;
    if (server.drifted() && !half) run(message.run).saw_drift.insert(server.who());
    return reply;
  }
  if (const auto* prepare = std::get_if<txn::action::Prepare>(&action.what)) {
    return server.prepare(config_, prepare->what);
  }
  if (const auto* abort = std::get_if<txn::action::Abort>(&action.what)) {
    server.abort(abort->txn);
    return Done{};
  }
  const auto& commit = std::get<txn::action::Commit>(action.what);
  const Face was = server.served();
  CommitStep step = message.step ? *message.step : CommitStep{};
  step.more = false;
  const Mishap mishap = how.cut ? Mishap::power_cut : how.half ? Mishap::not_activated : Mishap::none;
  Reply reply = server.commit(config_, commit.what, mishap, step);
  message.step = step.more ? std::make_shared<const CommitStep>(step) : nullptr;
  const Run& by = *runs_[message.run];
  const bool repairs = by.repairs || !message.saw_drift;
  watcher_.served(server, was, {by.overwrite.contains(server.who()), repairs});
  if (server.served() != was && server.served().whole()) server.keep_past();
  if (std::holds_alternative<CommitReply>(reply)) watcher_.reported_served(server, commit.what.target);
  return reply;
}

Reply World::keep(std::size_t index, const txn::Note& note) {
  if (!config_.stores) return Done{};
  const std::size_t host = runs_[index]->host;
  Store next = *hosts_[host].store;
  next.counter = std::max(next.counter, note.counter);
  next.initialised.insert(note.initialised.begin(), note.initialised.end());
  if (note.entry) {
    const auto newer = [&](const txn::EntryPtr& known) {
      return !known || known->record.version <= note.entry->record.version;
    };
    if (newer(next.proposed)) next.proposed = note.entry;
    if (note.decided && newer(next.latest)) next.latest = note.entry;
  }
  set_store(host, std::make_shared<const Store>(std::move(next)));
  return Done{};
}

}  // namespace k4t::simulation
