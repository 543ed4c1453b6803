#include "world.hpp"

#include <algorithm>
#include <type_traits>

namespace k4t::simulation {
namespace {

using txn::Action;
using txn::Actions;
using txn::Done;
using txn::Event;
using txn::Group;
using txn::Participant;
using txn::WitnessAnswer;

constexpr const char* kCluster = "sim";

template <class T>
bool is(const Action& action) {
  return std::holds_alternative<T>(action.what);
}

/// Reading and tidying up: carried out at once, so that searches spend their steps on what can go wrong.
bool is_instant(const Action& action) {
  return !is<txn::action::Claim>(action) && !is<txn::action::Vote>(action) && !is<txn::action::Prepare>(action) &&
         !is<txn::action::Commit>(action);
}

std::string text_of(const std::optional<Register>& held) {
  return held ? std::to_string(held->version) + held->txn.substr(0, 6) + held->writer : std::string("-");
}

std::string text_of(const model::Epoch& epoch) { return std::to_string(epoch.counter) + epoch.run; }

std::string text_of(const std::optional<model::WitnessRegister>& held) {
  if (!held) return "blank";
  std::string text = text_of(held->promised);
  if (held->vote)
    text += " " + text_of(held->vote->epoch) + " " + std::to_string(held->vote->version) + held->vote->txn;
  return text;
}

std::string text_of(const Action& action) {
  return std::visit(
      [](const auto& what) -> std::string {
        using What = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<What, txn::action::Claim>) {
          return "claim " + what.at.id + " " + text_of(what.request.epoch);
        } else if constexpr (std::is_same_v<What, txn::action::Vote>) {
          return "vote " + what.at.id + " " + text_of(what.epoch) + what.entry->record.txn;
        } else if constexpr (std::is_same_v<What, txn::action::Prepare>) {
          return "prepare " + what.at.name + text_of(what.what.seen) + text_of(what.what.target);
        } else if constexpr (std::is_same_v<What, txn::action::Commit>) {
          return "commit " + what.at.name + text_of(what.what.seen) + text_of(what.what.target);
        } else {
          return "other";
        }
      },
      action.what);
}

Error unavailable() { return {Status::unavailable, "no answer", {}}; }
Error deadline() { return {Status::deadline, "no answer in time", {}}; }
Error conflict() { return {Status::conflict, "another register", {}}; }

}  // namespace

std::string to_string(const Choice& choice) {
  static const char* const names[] = {"start",  "deliver", "lose", "lose answer of", "delay",
                                      "repeat", "half",    "late", "crash",          "wipe"};
  return std::string(names[static_cast<std::size_t>(choice.kind)]) + " " + std::to_string(choice.index);
}

World::World(const Config& config) : config_(config) {
  for (int n = 1; n <= config.witnesses; ++n) {
    const std::string id = "w" + std::to_string(n);
    witnesses_.push_back(
        {{id, "local", "/" + id}, model::WitnessRegister{kCluster, id, {0, "-"}, "", false, {}}, {}, false});
  }
  for (int n = 1; n <= config.gateways; ++n) servers_[{Group::gateway, "gw" + std::to_string(n)}];
  for (int n = 1; n <= config.dns; ++n) servers_[{Group::dns, "dns" + std::to_string(n)}];
  runs_.resize(static_cast<std::size_t>(config.runs));
}

std::vector<Choice> World::choices() const {
  using Kind = Choice::Kind;
  std::vector<Choice> all;
  const auto add = [&](bool possible, Kind kind, std::size_t index) {
    if (possible) all.push_back({kind, index});
  };
  for (std::size_t at = 0; at < messages_.size(); ++at) {
    const Message& message = messages_[at];
    const bool faulty = config_.faults > 0 && !message.late;
    add(message.late, Kind::late, at);
    add(!message.late, Kind::deliver, at);
    for (const Kind kind : {Kind::lose, Kind::lose_answer, Kind::delay, Kind::repeat}) add(faulty, kind, at);
    add(faulty && is<txn::action::Commit>(message.action), Kind::half, at);
  }
  for (std::size_t at = 0; at < runs_.size(); ++at) {
    // Runs are alike until they begin, so they begin in order.
    const bool next = !runs_[at].coordinator && (at == 0 || runs_[at - 1].coordinator);
    add(next, Kind::start, at);
    const bool alive = runs_[at].coordinator && !runs_[at].dead && !runs_[at].coordinator->resting();
    add(config_.crashes > 0 && alive, Kind::crash, at);
  }
  for (std::size_t at = 0; at < witnesses_.size(); ++at) {
    add(config_.wipes > 0 && witnesses_[at].held && witnesses_[at].held->vote, Kind::wipe, at);
  }
  return all;
}

void World::take(const Choice& choice) {
  using Kind = Choice::Kind;
  switch (choice.kind) {
    case Kind::start: start(choice.index); return;
    case Kind::crash: crash(choice.index); return;
    case Kind::wipe:
      --config_.wipes;
      witnesses_[choice.index].wiped = true;
      witnesses_[choice.index].held.reset();
      witnesses_[choice.index].records.clear();
      return;
    default: break;
  }
  Message message = take_message(choice.index);
  const std::uint64_t id = message.action.id;
  if (choice.kind != Kind::deliver && choice.kind != Kind::late) --config_.faults;
  switch (choice.kind) {
    case Kind::lose: answer(message.run, {id, unavailable()}); break;
    case Kind::late: execute(message.action); break;
    case Kind::lose_answer:
      execute(message.action);
      answer(message.run, {id, deadline()});
      break;
    case Kind::delay:
      message.late = true;
      messages_.push_back(message);
      answer(message.run, {id, deadline()});
      break;
    case Kind::half: answer(message.run, {id, execute(message.action, true)}); break;
    default: {
      if (choice.kind == Kind::repeat) {
        messages_.push_back(message);
        messages_.back().late = true;
      }
      answer(message.run, {id, execute(message.action)});
    }
  }
}

World::Message World::take_message(std::size_t index) {
  Message message = messages_[index];
  messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(index));
  return message;
}

txn::Settings World::settings_of(const std::string& run_id) const {
  txn::Settings settings;
  settings.cluster = kCluster;
  settings.run = run_id;
  settings.holder = "host run " + run_id;
  for (const auto& witness : witnesses_) settings.witnesses.push_back(witness.at);
  for (const auto& [who, server] : servers_) {
    (who.group == Group::gateway ? settings.gateways : settings.dns).push_back(who.name);
  }
  settings.gateway_availability = settings.dns_availability = config_.availability;
  return settings;
}

model::State World::proposal_of(std::size_t run) const {
  model::State state;
  // What tells the states of two runs apart.
  state.dns.suffix = "r" + std::to_string(run) + "p" + std::to_string(runs_[run].proposals_left);
  const txn::Settings settings = settings_of("");
  state.gateway_members = settings.gateways;
  state.dns_members = settings.dns;
  state.witnesses = settings.witnesses;
  return state;
}

void World::start(std::size_t index) {
  Run& run = runs_[index];
  const bool clone = config_.mistake == Mistake::runs_share_an_epoch;
  run.coordinator.emplace(settings_of(clone ? "a" : std::string(1, static_cast<char>('a' + index))));
  run.proposals_left = config_.proposals;
  send(index, run.coordinator->begin());
}

void World::crash(std::size_t index) {
  --config_.crashes;
  runs_[index].dead = true;
  for (auto& message : messages_) message.late = message.late || message.run == index;
}

void World::send(std::size_t run, const Actions& actions) {
  std::vector<const Action*> instant;
  for (const auto& action : actions) {
    if (is_instant(action)) {
      instant.push_back(&action);
    } else {
      messages_.push_back({run, action, false});
    }
  }
  for (const Action* action : instant) {
    const Reply reply = execute(*action);
    send(run, runs_[run].coordinator->on({action->id, reply}));
  }
  go_on(run);
}

void World::answer(std::size_t run, Event event) {
  if (runs_[run].dead) return;
  if (config_.mistake == Mistake::minority_votes_are_dropped &&
      runs_[run].coordinator->phase() == txn::Phase::claiming) {
    hear_filtered(run, std::move(event));
  } else {
    hear(run, event);
  }
}

void World::hear(std::size_t run, const Event& event) { send(run, runs_[run].coordinator->on(event)); }

// The coordinator waits for a whole round of claims anyway, so holding the answers back until then changes nothing but
// what this mistake changes.
void World::hear_filtered(std::size_t run, Event event) {
  auto& held = runs_[run].held_claims;
  held.push_back(std::move(event));
  const bool more = std::any_of(messages_.begin(), messages_.end(), [&](const Message& message) {
    return message.run == run && !message.late && is<txn::action::Claim>(message.action);
  });
  if (more) return;
  std::map<model::Vote, std::size_t> seen;
  for (const auto& one : held) {
    const auto* answer = std::get_if<WitnessAnswer>(&one.reply);
    if (answer != nullptr && answer->now.vote) ++seen[*answer->now.vote];
  }
  std::vector<Event> round;
  round.swap(held);
  for (auto& one : round) {
    auto* answer = std::get_if<WitnessAnswer>(&one.reply);
    if (answer != nullptr && answer->now.vote && 2 * seen[*answer->now.vote] <= witnesses_.size()) {
      answer->now.vote.reset();
    }
    hear(run, one);
  }
}

// What a run does when it rests: propose, catch up, end.
void World::go_on(std::size_t index) {
  Run& run = runs_[index];
  if (run.coordinator->phase() != txn::Phase::ready) return;
  if (run.proposals_left > 0) {
    model::State state = proposal_of(index);
    --run.proposals_left;
    send(index, run.coordinator->propose(std::move(state)));
  } else if (!run.caught_up) {
    run.caught_up = true;
    send(index, run.coordinator->catch_up({}));
  } else {
    send(index, run.coordinator->close());
  }
}

World::Reply World::execute(const Action& action, bool half) {
  return std::visit(
      [&](const auto& what) -> Reply {
        using What = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<What, txn::Note>) {
          return Done{};
        } else if constexpr (requires { what.at.id; }) {
          Witness& witness = *std::find_if(witnesses_.begin(), witnesses_.end(),
                                           [&](const Witness& one) { return one.at.id == what.at.id; });
          if (unreachable_.contains(what.at.id)) return unavailable();
          if constexpr (std::is_same_v<What, txn::action::Claim>) return claim(witness, what.request);
          if constexpr (std::is_same_v<What, txn::action::Vote>) return vote(witness, what.epoch, what.entry->record);
          if constexpr (std::is_same_v<What, txn::action::Fetch>) {
            const auto found = witness.records.find(what.txn);
            if (found == witness.records.end()) return Error{Status::not_found, "no such record", {}};
            return found->second;
          }
          return Done{};
        } else {
          Server& server = servers_.at(what.at);
          if constexpr (std::is_same_v<What, txn::action::Observe>) return observe(server);
          if constexpr (std::is_same_v<What, txn::action::Prepare>) return prepare(server, what.what);
          if constexpr (std::is_same_v<What, txn::action::Commit>) return commit(server, what.what, half);
          if constexpr (std::is_same_v<What, txn::action::Abort>) server.staged.erase(what.txn);
          return Done{};
        }
      },
      action.what);
}

World::Reply World::claim(Witness& witness, const txn::ClaimRequest& request) {
  if (!witness.held) {
    if (config_.mistake != Mistake::blank_counts_as_fresh) return Error{Status::not_found, "blank", {}};
    witness.held = model::WitnessRegister{kCluster, witness.at.id, {0, "-"}, "", false, {}};
  }
  if (request.epoch < witness.held->promised) return WitnessAnswer{false, *witness.held};
  witness.held->promised = request.epoch;
  return WitnessAnswer{true, *witness.held};
}

World::Reply World::vote(Witness& witness, const model::Epoch& epoch, const model::Record& record) {
  if (!witness.held) {
    if (config_.mistake != Mistake::blank_counts_as_fresh) return Error{Status::not_found, "blank", {}};
    witness.held = model::WitnessRegister{kCluster, witness.at.id, {0, "-"}, "", false, {}};
  }
  model::WitnessRegister& held = *witness.held;
  const model::Vote next{epoch, record.version, record.txn};
  const bool careless = config_.mistake == Mistake::late_vote_overwrites;
  if (!careless && epoch < held.promised) return WitnessAnswer{false, held};
  if (!careless && held.vote && held.vote->epoch == epoch) {
    if (held.vote->version > record.version) return WitnessAnswer{false, held};
    const bool twice = held.vote->version == record.version && held.vote->txn != record.txn;
    // With a shared epoch this very check is what saves a single witness; the clones meet at different ones.
    if (twice) return Error{Status::fatal, "two contents of one version", {}};
  }
  held.promised = std::max(held.promised, epoch);
  watch_vote(witness, next);
  if (config_.mistake != Mistake::witness_keeps_epoch_only) {
    witness.records[record.txn] = record;
    held.vote = next;
  }
  return WitnessAnswer{true, held};
}

World::Reply World::observe(const Server& server) const {
  return Observation{server.stored, server.served, Content::clean, server.stored != server.served, {}, {}};
}

World::Reply World::prepare(Server& server, const txn::Preparation& what) {
  if (server.stored != what.seen) return conflict();
  server.staged.insert(what.target.txn);
  return Done{};
}

World::Reply World::commit(Server& server, const CommitRequest& what, bool half) {
  const bool there = server.stored && server.stored->txn == what.target.txn;
  if (!there && config_.mistake != Mistake::commit_ignores_the_register) {
    if (server.stored != what.seen) return conflict();
    if (!server.staged.contains(what.target.txn)) return Error{Status::not_found, "not staged", {}};
  }
  if (!there) {
    server.stored = what.target;
    server.staged.erase(what.target.txn);
  }
  if (half) return Error{Status::unavailable, "the reload failed", {}};
  watch_serving(server, *server.stored);
  return CommitReply{};
}

// A version is decided as soon as a majority has voted for it in one epoch, whoever knows of it.
void World::watch_vote(const Witness& witness, const model::Vote& vote) {
  auto& voters = votes_[vote];
  voters.insert(witness.at.id);
  if (2 * voters.size() <= witnesses_.size()) return;
  const auto [found, fresh] = decided_.emplace(vote.version, vote.txn);
  if (!fresh && found->second != vote.txn) {
    violate("I4: two states were decided for version " + std::to_string(vote.version));
  }
}

void World::watch_serving(Server& server, const Register& next) {
  const auto decided = decided_.find(next.version);
  if (decided == decided_.end() || decided->second != next.txn) {
    violate("I1: version " + std::to_string(next.version) + " is served and was not decided");
  }
  if (server.served && next.version < server.served->version) {
    violate("I2: a participant went back from version " + std::to_string(server.served->version) + " to " +
            std::to_string(next.version));
  }
  server.served = next;
}

void World::violate(const std::string& what) {
  if (!violation_) violation_ = what;
}

std::vector<std::set<std::string>> World::minimal_majorities() const {
  std::vector<std::string> ids;
  for (const auto& witness : witnesses_) {
    if (!witness.wiped) ids.push_back(witness.at.id);
  }
  const std::size_t needed = witnesses_.size() / 2 + 1;
  std::vector<std::set<std::string>> all;
  for (std::uint32_t mask = 0; mask < (1U << ids.size()); ++mask) {
    std::set<std::string> one;
    for (std::size_t at = 0; at < ids.size(); ++at) {
      if ((mask >> at & 1U) != 0) one.insert(ids[at]);
    }
    if (one.size() == needed) all.push_back(std::move(one));
  }
  return all;
}

std::optional<std::string> World::check_recovery(const std::set<std::string>& reachable) const {
  World after = *this;
  for (auto& message : after.messages_) message.late = true;
  for (auto& run : after.runs_) run.dead = true;
  for (const auto& witness : witnesses_) {
    if (!reachable.contains(witness.at.id)) after.unreachable_.insert(witness.at.id);
  }
  after.runs_.push_back({});
  const std::size_t index = after.runs_.size() - 1;
  Run& fresh = after.runs_[index];
  fresh.coordinator.emplace(settings_of("z"));
  after.send(index, fresh.coordinator->begin());
  // The network is perfect for it; old messages may stay away for ever.
  for (std::size_t at = 0; at < after.messages_.size();) {
    if (after.messages_[at].late) {
      ++at;
    } else {
      after.take({Choice::Kind::deliver, at});
      at = 0;
    }
  }
  if (after.violation_) return after.violation_;
  return after.check_caught_up(*after.runs_[index].coordinator);
}

std::optional<std::string> World::check_caught_up(const txn::Coordinator& fresh) const {
  if (fresh.phase() != txn::Phase::closed) {
    return "I2: a fresh run ended as " + std::string(txn::to_string(fresh.phase())) +
           (fresh.why() ? ": " + fresh.why()->message : "");
  }
  if (decided_.empty()) return {};
  const auto& [version, txn] = *decided_.rbegin();
  if (!fresh.latest() || fresh.latest()->record.version != version) {
    return "I2: a fresh run did not find version " + std::to_string(version);
  }
  for (const auto& [who, server] : servers_) {
    if (!server.served || server.served->txn != txn || server.stored != server.served) {
      return "I2: a fresh run could not catch up " + txn::to_string(who);
    }
  }
  return {};
}

std::string World::fingerprint() const {
  std::string text = std::to_string(config_.faults) + "," + std::to_string(config_.crashes) + "," +
                     std::to_string(config_.wipes) + "\n";
  for (const auto& witness : witnesses_) {
    text += text_of(witness.held) + (witness.wiped ? " wiped\n" : "\n");
  }
  for (const auto& [who, server] : servers_) {
    text += text_of(server.stored) + '/' + text_of(server.served) + '/';
    for (const auto& txn : server.staged) text += txn + ',';
    text += '\n';
  }
  for (const auto& run : runs_) {
    text += run.dead ? "dead" : run.coordinator ? run.coordinator->fingerprint() : "-";
    text += std::to_string(run.proposals_left) + (run.caught_up ? "c" : "");
    for (const auto& event : run.held_claims) text += std::to_string(event.reply.index());
    text += '\n';
  }
  std::vector<std::string> lines;
  for (const auto& message : messages_) {
    lines.push_back(std::to_string(message.run) + (message.late ? " late " : " ") + text_of(message.action));
  }
  std::sort(lines.begin(), lines.end());
  for (const auto& line : lines) text += line + '\n';
  for (const auto& [vote, voters] : votes_) {
    text += vote.txn.substr(0, 8) + std::to_string(vote.epoch.counter) + vote.epoch.run + ':';
    for (const auto& id : voters) text += id;
  }
  return text;
}

std::string World::describe() const {
  std::string text;
  for (const auto& witness : witnesses_) {
    text += witness.at.id + ": " + text_of(witness.held) + "\n";
  }
  for (const auto& [who, server] : servers_) {
    text += to_string(who) + ": stored " + text_of(server.stored) + ", served " + text_of(server.served) + "\n";
  }
  for (const auto& run : runs_) {
    if (!run.coordinator) continue;
    text += "run: " + std::string(txn::to_string(run.coordinator->phase())) + (run.dead ? ", dead" : "") + "\n";
  }
  for (const auto& message : messages_) text += (message.late ? "late " : "") + text_of(message.action) + "\n";
  return text;
}

}  // namespace k4t::simulation
