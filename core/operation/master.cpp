#include "operation/master.hpp"

#include <algorithm>
#include <set>

#include "drivers/cluster_ports.hpp"
#include "k4t/digest.hpp"
#include "operation/nodes.hpp"
#include "plan/routing.hpp"

namespace k4t::operation {
namespace {

using plan::Placed;
using plan::Plan;
using plan::World;

/// The journal's words for how far an operation has come.
namespace phase {
constexpr const char* started = "started";    // nothing is decided: it will be undone
constexpr const char* proposed = "proposed";  // a vote may have been cast: the witnesses know
constexpr const char* decided = "decided";    // it will be finished
constexpr const char* undoing = "undoing";    // it will be undone
}  // namespace phase

/// How often new instances are tried at other ports when somebody else holds theirs.
constexpr int port_attempts = 4;

/// Names what a state routes, whoever proposed it and after whatever history.
std::string routing_digest(const model::State& state) {
  return sha256_hex(Json(state.gateways).dump() + '\n' + Json(state.dns).dump());
}

std::vector<model::Service> merge(const std::vector<model::Service>& before, const Change& change) {
  std::map<std::string, model::Service> wanted;
  for (const auto& service : before) wanted[service.name] = service;
  for (const auto& service : change.put) wanted[service.name] = service;
  for (const auto& name : change.removed) wanted.erase(name);
  std::vector<model::Service> services;
  for (auto& [name, service] : wanted) services.push_back(std::move(service));
  return services;
}

/// Passes the commit protocol's progress on to the reporter.
class Relay final : public txn::Listener {
 public:
  explicit Relay(Reporter& reporter) : reporter_(reporter) {}
  void on_participant(const txn::Participant& who, std::string_view what, std::string_view why) override {
    reporter_.happening({txn::to_string(who), std::string(what), std::string(why), 0, 0});
  }
  void on_witness(const std::string& id, std::string_view what, std::string_view why) override {
    reporter_.happening({"witness " + id, std::string(what), std::string(why), 0, 0});
  }
  void on_note_failed(const Error& error) override { reporter_.warning("the redo log's local copy: " + error.message); }
  void on_log(LogLevel level, std::string_view text) override { reporter_.log(level, std::string(text)); }

 private:
  Reporter& reporter_;
};

bool needs_catching_up(const txn::Member& member) {
  using txn::Standing;
  return member.listed && (member.standing == Standing::behind || member.standing == Standing::blank ||
                           member.standing == Standing::half);
}

bool lags(const txn::Member& member) { return member.listed && member.standing != txn::Standing::current; }

std::vector<std::string> names_of(const std::vector<model::Driven>& things) {
  std::vector<std::string> names;
  for (const auto& thing : things) names.push_back(thing.name);
  return names;
}

}  // namespace

class Master::Impl {
 public:
  explicit Impl(Environment environment)
      : env_(std::move(environment)),
        relay_(env_.reporter),
        ports_(env_.cluster.name, env_.fleet, [this](const txn::Note& note) { return keep(note); }) {}

  Result<bool> needs_recovery() {
    K4T_ASSIGN(const auto unfinished, env_.store.unfinished_operations());
    return !unfinished.empty();
  }

  Result<Report> recover();
  Result<Preview> preview(const Change& change);
  Result<Report> apply(const Change& change, const ApplyOptions& options);
  Result<Report> sync(bool repair);
  Result<Status> status();
  Result<Report> closing(Result<Report> report);

 private:
  // The commit protocol.
  Result<txn::Settings> settings();
  Result<txn::Assessment> assess();
  Result<void> begin_run();
  Result<void> keep(const txn::Note& note);

  // What is observed.
  Result<World> observe_world(const txn::EntryPtr& latest);
  Result<void> remember(const std::vector<plan::NodeView>& views);
  std::vector<Placed> not_yet_routed(const Plan& plan, const txn::EntryPtr& latest) const;
  void warn_of_missing_capabilities(const Plan& plan, Preview& preview) const;

  // The course of an operation.
  struct Course {
    std::int64_t id = 0;
    std::string label;  ///< what its instances carry
    std::vector<model::Service> wanted;
    bool proposed = false;  ///< a vote may have been cast: only the witnesses know
    bool decided = false;
  };
  Result<void> run_rounds(Course& course);
  Result<bool> run_round(Course& course);
  Result<void> catch_up_members();
  Result<void> require_served() const;
  Result<Plan> start_instances(Course& course, World world);
  Result<void> decide(Course& course, const Plan& plan);
  Result<void> retire(const Course& course, const Plan& plan);
  Result<void> reserve_endpoints(const std::vector<Placed>& going);
  Result<void> mark_decided(Course& course);
  Result<void> undo(const Course& course);
  Result<Report> end_course(Course& course, const Result<void>& outcome);
  Result<bool> was_decided(const store::Operation& operation);
  bool routes_to_instances_of(const std::string& label);
  Course course_of(const store::Operation& operation) const;

  Report report(Ending ending, std::optional<Error> why = std::nullopt) const;
  Ending ending_of_members() const;
  void release_endpoints();

  Environment env_;
  Relay relay_;
  drivers::ClusterPorts ports_;
  std::unique_ptr<txn::Runner> runner_;
};

// ---- the commit protocol ----------------------------------------------------------------------------------------

Result<txn::Settings> Master::Impl::settings() {
  txn::Settings settings;
  settings.cluster = env_.cluster.name;
  settings.run = env_.run;
  settings.holder = env_.holder;
  settings.take_over = env_.take_over;
  settings.gateways = names_of(env_.cluster.gateways);
  settings.dns = names_of(env_.cluster.dns);
  settings.gateway_availability = env_.cluster.gateway_availability;
  settings.dns_availability = env_.cluster.dns_availability;
  settings.witnesses = env_.cluster.witnesses;
  K4T_ASSIGN(settings.highest_counter, env_.store.highest_counter());
  K4T_ASSIGN(const auto kept, env_.store.records());
  for (const auto& record : kept) settings.known_records.push_back(record.record);
  K4T_ASSIGN(const auto latest, env_.store.latest_decided());
  if (latest) {
    // The newest state that is known names the witnesses to ask; the configuration only names the first ones.
    K4T_ASSIGN(const auto entry, txn::read_record(*latest));
    settings.witnesses = entry->state.witnesses;
  }
  K4T_ASSIGN(const auto initialised, env_.store.initialised_witnesses());
  for (const auto& witness : env_.cluster.witnesses) {
    if (std::find(initialised.begin(), initialised.end(), witness.id) == initialised.end()) {
      settings.fresh_witnesses.insert(witness.id);
    }
  }
  return settings;
}

Result<void> Master::Impl::keep(const txn::Note& note) {
  return env_.store.atomically([&]() -> Result<void> {
    if (note.counter > 0) K4T_TRY(env_.store.raise_counter(note.counter));
    if (!note.initialised.empty()) K4T_TRY(env_.store.add_initialised_witnesses(note.initialised));
    if (note.entry != nullptr) K4T_TRY(env_.store.put_record(note.entry->record, note.decided));
    return {};
  });
}

Result<txn::Assessment> Master::Impl::assess() {
  K4T_ASSIGN(auto with, settings());
  txn::Runner reader(ports_, std::move(with), {{}, 8, &relay_});
  return reader.inspect();
}

/// One run serves everything that one command does; what it finishes first and what it then changes share a claim.
Result<void> Master::Impl::begin_run() {
  if (runner_ != nullptr) return runner_->observe();
  K4T_ASSIGN(auto with, settings());
  runner_ = std::make_unique<txn::Runner>(ports_, std::move(with), txn::RunnerOptions{{}, 8, &relay_});
  return runner_->begin();
}

/// What a command reports is read from the run before it ends.
Result<Report> Master::Impl::closing(Result<Report> report) {
  if (runner_ != nullptr) runner_->close();
  runner_.reset();
  return report;
}

// ---- what is observed -------------------------------------------------------------------------------------------

Result<World> Master::Impl::observe_world(const txn::EntryPtr& latest) {
  World world;
  world.nodes = read_nodes(env_);
  if (latest != nullptr) world.latest = latest->state;
  K4T_ASSIGN(const auto reservations, env_.store.reservations());
  for (const auto& reservation : reservations) world.not_reusable.push_back({reservation.address, reservation.port});
  K4T_ASSIGN(const auto remembered, env_.store.recall("instances"));
  if (remembered) {
    K4T_ASSIGN(world.last_known, decode<std::vector<Placed>>(*remembered));
  }
  return world;
}

/// Keeps what was read of the nodes, for a day when one of them cannot be; what is known of such a node stays.
Result<void> Master::Impl::remember(const std::vector<plan::NodeView>& views) {
  K4T_ASSIGN(const auto remembered, env_.store.recall("instances"));
  std::vector<Placed> all;
  if (remembered) {
    K4T_ASSIGN(all, decode<std::vector<Placed>>(*remembered));
  }
  std::set<std::string> read;
  for (const auto& view : views) {
    if (!view.problem) read.insert(view.name);
  }
  std::erase_if(all, [&](const Placed& placed) { return read.contains(placed.node); });
  for (auto& placed : placed_instances(env_, views)) all.push_back(std::move(placed));
  return env_.store.remember("instances", Json(all));
}

/// Instances that the new state sends traffic to and the old one does not: they must be healthy first.
std::vector<Placed> Master::Impl::not_yet_routed(const Plan& plan, const txn::EntryPtr& latest) const {
  std::set<gateway::Endpoint> served;
  if (latest != nullptr) {
    const auto endpoints = plan::routed_endpoints(latest->state);
    served.insert(endpoints.begin(), endpoints.end());
  }
  const auto is_served = [&served](const gateway::Endpoint& endpoint) { return served.contains(endpoint); };
  std::vector<Placed> fresh;
  for (const auto& creation : plan.creations) fresh.push_back(creation.placed);
  for (const auto& placed : plan.kept) {
    const auto endpoints = placed.endpoints();
    const bool readable = placed.alive();
    if (readable && std::none_of(endpoints.begin(), endpoints.end(), is_served)) fresh.push_back(placed);
  }
  return fresh;
}

void Master::Impl::warn_of_missing_capabilities(const Plan& plan, Preview& preview) const {
  for (const auto& gateway : env_.cluster.gateways) {
    const auto has = env_.capabilities(gateway.driver, gateway::Kind::name);
    if (has.empty()) continue;
    for (const auto& needed : plan::needed_capabilities(plan.state.gateways)) {
      if (std::find(has.begin(), has.end(), needed) != has.end()) continue;
      preview.plan.warnings.push_back("gateway '" + gateway.name + "' (" + gateway.driver + ") lacks " + needed +
                                      ", which a service asks for; see the driver's README for what it does instead");
    }
  }
}

// ---- commands ---------------------------------------------------------------------------------------------------

Result<Preview> Master::Impl::preview(const Change& change) {
  Preview preview;
  K4T_ASSIGN(const auto before, env_.store.services());
  preview.services = merge(before, change);
  preview.declarations_change = !(preview.services == before);
  K4T_ASSIGN(preview.assessment, assess());
  K4T_ASSIGN(const auto world, observe_world(preview.assessment.latest));
  preview.plan = plan::make_plan(env_.cluster, preview.services, world, "preview", env_.draw_id);
  preview.differences = plan::describe_difference(world.latest.value_or(model::State{}), preview.plan.state);
  preview.catch_up =
      std::any_of(preview.assessment.members.begin(), preview.assessment.members.end(), needs_catching_up);
  const Plan planned = preview.plan;
  warn_of_missing_capabilities(planned, preview);
  return preview;
}

Result<Report> Master::Impl::apply(const Change& change, const ApplyOptions& options) {
  K4T_ASSIGN(const bool left, needs_recovery());
  if (left) {
    K4T_ASSIGN(const auto recovered, recover());
    if (recovered.ending == Ending::unfinished) return recovered;
  }
  K4T_ASSIGN(const auto before, preview(change));
  if (before.nothing_to_do() && !before.assessment.unfinished) {
    Report nothing;
    nothing.ending = std::any_of(before.assessment.members.begin(), before.assessment.members.end(), lags)
                         ? Ending::lagging
                         : Ending::unchanged;
    nothing.latest = before.assessment.latest;
    nothing.version = nothing.latest == nullptr ? 0 : nothing.latest->record.version;
    nothing.members = before.assessment.members;
    return nothing;
  }
  if (!before.plan.problems.empty()) {
    return report(Ending::failed, Error{k4t::Status::invalid_argument, before.plan.problems.front(), {}});
  }
  const auto percent = plan::scaled_down_percent(before.plan);
  if (percent > env_.cluster.removal_limit_percent && !options.force) {
    return report(
        Ending::failed,
        Error{k4t::Status::invalid_argument,
              "this would remove " + std::to_string(percent) + " % of the instances, more than the limit of " +
                  std::to_string(env_.cluster.removal_limit_percent) + " %; say --force if you mean it",
              {}});
  }
  if (options.confirm && !options.confirm(before)) {
    return report(Ending::failed, Error{k4t::Status::invalid_argument, "not confirmed", {}});
  }

  Course course;
  course.wanted = before.services;
  const Json arguments{{"wanted", course.wanted}, {"run", env_.run}};
  K4T_ASSIGN(course.id, env_.store.begin_operation("apply", arguments, phase::started, env_.now_s()));
  course.label = std::to_string(course.id) + '-' + env_.run.substr(0, 8);
  if (auto begun = begin_run(); !begun) return end_course(course, begun);
  return end_course(course, run_rounds(course));
}

Result<Report> Master::Impl::recover() {
  K4T_ASSIGN(const auto unfinished, env_.store.unfinished_operations());
  if (unfinished.empty()) return report(Ending::unchanged);
  env_.reporter.stage("Finish what an earlier command left");
  if (auto begun = begin_run(); !begun) return report(Ending::unfinished, begun.error());
  Report last;
  for (const auto& operation : unfinished) {
    Course course = course_of(operation);
    K4T_ASSIGN(course.decided, was_decided(operation));
    if (course.decided) {
      K4T_TRY(mark_decided(course));
      K4T_ASSIGN(last, end_course(course, run_rounds(course)));
    } else {
      K4T_ASSIGN(last, end_course(course, Error{k4t::Status::deadline, "it was cut short before it was decided", {}}));
    }
    if (last.ending == Ending::unfinished) return last;
  }
  return last;
}

Result<Report> Master::Impl::sync(bool repair) {
  K4T_ASSIGN(const bool left, needs_recovery());
  if (left) {
    K4T_ASSIGN(const auto recovered, recover());
    if (recovered.ending == Ending::unfinished) return recovered;
  }
  K4T_ASSIGN(const auto assessment, assess());
  const auto concerns = [repair](const txn::Member& member) {
    return needs_catching_up(member) || (repair && member.standing == txn::Standing::drifted);
  };
  if (!assessment.unfinished && std::none_of(assessment.members.begin(), assessment.members.end(), concerns)) {
    Report nothing;
    nothing.members = assessment.members;
    nothing.latest = assessment.latest;
    nothing.version = nothing.latest == nullptr ? 0 : nothing.latest->record.version;
    const bool lagging = std::any_of(nothing.members.begin(), nothing.members.end(), lags);
    nothing.ending = lagging ? Ending::lagging : Ending::unchanged;
    return nothing;
  }
  env_.reporter.stage("Bring returned participants to the latest version");
  if (auto begun = begin_run(); !begun) return report(Ending::failed, begun.error());
  K4T_TRY(runner_->catch_up({repair, {}}));
  return report(ending_of_members());
}

Result<Status> Master::Impl::status() {
  Status status;
  K4T_ASSIGN(status.services, env_.store.services());
  K4T_ASSIGN(status.unfinished, env_.store.unfinished_operations());
  K4T_ASSIGN(status.assessment, assess());
  status.nodes = read_nodes(env_);
  status.instances = placed_instances(env_, status.nodes);
  return status;
}

// ---- the course of an operation ---------------------------------------------------------------------------------

Result<void> Master::Impl::run_rounds(Course& course) {
  for (;;) {
    K4T_ASSIGN(const bool complete, run_round(course));
    if (complete) break;
  }
  release_endpoints();
  return {};
}

/// True: nothing is left to be done after it.
Result<bool> Master::Impl::run_round(Course& course) {
  const auto latest = runner_->coordinator().latest();
  K4T_ASSIGN(auto world, observe_world(latest));
  K4T_ASSIGN(const Plan plan, start_instances(course, std::move(world)));
  for (const auto& warning : plan.warnings) env_.reporter.warning(warning);
  if (!course.decided && env_.interrupted) return Error{k4t::Status::deadline, "interrupted", {}};
  if (plan.state_changes) {
    K4T_TRY(decide(course, plan));
  } else {
    if (!course.decided) K4T_TRY(mark_decided(course));
    K4T_TRY(catch_up_members());
  }
  K4T_TRY(retire(course, plan));
  K4T_TRY(remember(read_nodes(env_)));
  return plan.complete;
}

Result<void> Master::Impl::catch_up_members() {
  const auto members = runner_->coordinator().members();
  if (std::none_of(members.begin(), members.end(), needs_catching_up)) return {};
  return runner_->catch_up({});
}

/// Nothing that runs is taken away before somebody in each group serves a state that does without it.
Result<void> Master::Impl::require_served() const {
  for (const auto group : {txn::Group::gateway, txn::Group::dns}) {
    bool any = false;
    bool served = false;
    for (const auto& member : runner_->coordinator().members()) {
      if (member.who.group != group || !member.listed) continue;
      any = true;
      served = served || member.standing == txn::Standing::current;
    }
    if (any && !served) {
      return Error{k4t::Status::unavailable,
                   "no " + std::string(to_string(group)) + " serves the latest version yet, so the old instances stay",
                   {}};
    }
  }
  return {};
}

/// Plans, and starts what the plan creates, healthy. Where somebody else holds a port, plans again without that port.
Result<Plan> Master::Impl::start_instances(Course& course, World world) {
  const auto latest = runner_->coordinator().latest();
  for (int attempt = 1;; ++attempt) {
    Plan plan = plan::make_plan(env_.cluster, course.wanted, world, course.label, env_.draw_id);
    if (!plan.problems.empty()) return Error{k4t::Status::invalid_argument, plan.problems.front(), {}};
    if (!plan.creations.empty()) {
      env_.reporter.stage("Start " + std::to_string(plan.creations.size()) + " instances");
    }
    std::vector<gateway::Endpoint> taken;
    const auto created = create_instances(env_, plan.creations, taken);
    if (created) {
      K4T_TRY(await_healthy(env_, not_yet_routed(plan, latest), course.wanted));
      return plan;
    }
    if (taken.empty() || attempt == port_attempts) return created.error();
    env_.reporter.warning(created.error().message + "; trying another port");
    world.not_reusable.insert(world.not_reusable.end(), taken.begin(), taken.end());
    std::vector<Placed> failed;
    for (const auto& creation : plan.creations) {
      const auto endpoints = creation.placed.endpoints();
      const bool hit = std::any_of(endpoints.begin(), endpoints.end(), [&](const gateway::Endpoint& endpoint) {
        return std::find(taken.begin(), taken.end(), endpoint) != taken.end();
      });
      if (hit) failed.push_back(creation.placed);
    }
    K4T_TRY(remove_instances(env_, failed));
    world.nodes = read_nodes(env_);
  }
}

Result<void> Master::Impl::decide(Course& course, const Plan& plan) {
  env_.reporter.stage("Change gateways and DNS servers");
  const auto& latest = runner_->coordinator().latest();
  if (!course.decided) {
    const Json proposal{{"version", latest == nullptr ? 1 : latest->record.version + 1},
                        {"routing", routing_digest(plan.state)}};
    const auto noted = env_.store.atomically([&]() -> Result<void> {
      K4T_TRY(env_.store.intend(course.id, "propose", proposal, env_.now_s()));
      return env_.store.set_phase(course.id, phase::proposed);
    });
    K4T_TRY(noted);
    course.proposed = true;
  }
  K4T_ASSIGN(const auto outcome, runner_->propose(plan.state));
  if (outcome.verdict == txn::Verdict::decided) return mark_decided(course);
  const Error why = outcome.why.value_or(Error{k4t::Status::unavailable, "the change was not decided", {}});
  if (outcome.verdict == txn::Verdict::dropped) course.proposed = false;
  return why;
}

Result<void> Master::Impl::mark_decided(Course& course) {
  course.decided = true;
  return env_.store.atomically([&]() -> Result<void> {
    K4T_TRY(env_.store.replace_services(course.wanted));
    return env_.store.set_phase(course.id, phase::decided);
  });
}

/// A member that lags still sends traffic to these endpoints; nobody else may answer it.
Result<void> Master::Impl::reserve_endpoints(const std::vector<Placed>& going) {
  const auto& latest = runner_->coordinator().latest();
  if (latest == nullptr) return {};
  return env_.store.atomically([&]() -> Result<void> {
    for (const auto& placed : going) {
      for (const auto& endpoint : placed.endpoints()) {
        auto reserved = env_.store.reserve(endpoint.address, endpoint.port, placed.name);
        if (!reserved && reserved.status() != k4t::Status::conflict) return reserved;
        K4T_TRY(env_.store.mark_removed(endpoint.address, endpoint.port, latest->record.version));
      }
    }
    return {};
  });
}

/// Takes what the decided state no longer names out of service: drained first, then stopped and removed.
Result<void> Master::Impl::retire(const Course& course, const Plan& plan) {
  if (plan.removals.empty()) return {};
  K4T_TRY(require_served());
  env_.reporter.stage("Drain and remove " + std::to_string(plan.removals.size()) + " instances");
  std::vector<Placed> going;
  for (const auto& removal : plan.removals) going.push_back(removal.placed);
  K4T_TRY(reserve_endpoints(going));
  if (env_.cluster.gateways.empty() && plan.state_changes) {
    env_.reporter.happening({"dns", "waiting for the TTL", std::to_string(env_.cluster.dns_ttl_s) + " s", 0, 0});
    env_.pause(std::chrono::seconds(env_.cluster.dns_ttl_s));
  }
  await_drained(env_, going, course.wanted);
  return remove_instances(env_, going);
}

/// Removes what the operation made and no decided state sends traffic to.
Result<void> Master::Impl::undo(const Course& course) {
  K4T_TRY(env_.store.set_phase(course.id, phase::undoing));
  const auto views = read_nodes(env_);
  std::set<gateway::Endpoint> served;
  if (runner_ != nullptr && runner_->coordinator().latest() != nullptr) {
    const auto endpoints = plan::routed_endpoints(runner_->coordinator().latest()->state);
    served.insert(endpoints.begin(), endpoints.end());
  }
  std::vector<Placed> made;
  for (auto& placed : placed_instances(env_, views)) {
    const auto endpoints = placed.endpoints();
    const bool routed = std::any_of(endpoints.begin(), endpoints.end(),
                                    [&](const gateway::Endpoint& endpoint) { return served.contains(endpoint); });
    if (placed.operation == course.label && !routed) made.push_back(std::move(placed));
  }
  if (!made.empty()) env_.reporter.stage("Undo: remove " + std::to_string(made.size()) + " new instances");
  K4T_TRY(remove_instances(env_, made));
  for (const auto& view : views) {
    if (view.problem) return view.problem->within("what this operation made there cannot be removed now");
  }
  return {};
}

/// Ends the operation as its course went; what cannot be ended now stays in the journal for the next command.
Result<Report> Master::Impl::end_course(Course& course, const Result<void>& outcome) {
  const auto end = [&](const std::string& word) { return env_.store.end_operation(course.id, word, env_.now_s()); };
  if (outcome) {
    K4T_TRY(end("done"));
    return report(ending_of_members());
  }
  if (course.decided || course.proposed) {
    return report(Ending::unfinished, outcome.error());
  }
  const auto undone = undo(course);
  if (!undone) {
    env_.reporter.warning(undone.error().message);
    return report(Ending::unfinished, outcome.error());
  }
  K4T_TRY(end("failed: " + outcome.error().message));
  return report(Ending::failed, outcome.error());
}

Master::Impl::Course Master::Impl::course_of(const store::Operation& operation) const {
  Course course;
  course.id = operation.id;
  course.label = std::to_string(operation.id) + '-' + operation.arguments.value("run", std::string{}).substr(0, 8);
  if (auto wanted = decode<std::vector<model::Service>>(operation.arguments.value("wanted", Json::array()))) {
    course.wanted = *std::move(wanted);
  }
  return course;
}

/// REQUIRES: a run has begun, so that what was voted for is finished and latest() is the truth.
Result<bool> Master::Impl::was_decided(const store::Operation& operation) {
  if (operation.phase == phase::decided) return true;
  if (operation.phase != phase::proposed) return false;
  const auto& latest = runner_->coordinator().latest();
  if (latest == nullptr) return false;
  K4T_ASSIGN(const auto steps, env_.store.steps(operation.id));
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (step->kind != "propose") continue;
    // A later version than ours means that another master went on from here; then what it routes to tells.
    const auto version = step->detail.value("version", std::uint64_t{0});
    if (latest->record.version < version) return false;
    if (routing_digest(latest->state) == step->detail.value("routing", std::string{})) return true;
    return latest->record.version > version && routes_to_instances_of(course_of(operation).label);
  }
  return false;
}

bool Master::Impl::routes_to_instances_of(const std::string& label) {
  const auto endpoints = plan::routed_endpoints(runner_->coordinator().latest()->state);
  for (const auto& placed : placed_instances(env_, read_nodes(env_))) {
    if (placed.operation != label) continue;
    for (const auto& endpoint : placed.endpoints()) {
      if (std::binary_search(endpoints.begin(), endpoints.end(), endpoint)) return true;
    }
  }
  return false;
}

// ---- reports ----------------------------------------------------------------------------------------------------

Report Master::Impl::report(Ending ending, std::optional<Error> why) const {
  Report report;
  report.ending = ending;
  report.why = std::move(why);
  if (runner_ != nullptr) {
    report.latest = runner_->coordinator().latest();
    report.members = runner_->coordinator().members();
    report.version = report.latest == nullptr ? 0 : report.latest->record.version;
  }
  return report;
}

Ending Master::Impl::ending_of_members() const {
  const auto members = runner_->coordinator().members();
  return std::any_of(members.begin(), members.end(), lags) ? Ending::lagging : Ending::done;
}

/// Endpoints whose removal every listed participant has passed may be given out again.
void Master::Impl::release_endpoints() {
  const auto& latest = runner_->coordinator().latest();
  if (latest == nullptr) return;
  std::uint64_t passed = latest->record.version;
  for (const auto& member : runner_->coordinator().members()) {
    if (!member.listed) continue;
    if (!member.seen || !member.seen->served) return;  // unknown: it may serve anything older
    passed = std::min(passed, member.seen->served->version);
  }
  if (auto released = env_.store.release_passed(passed); !released) env_.reporter.warning(released.error().message);
}

Master::Master(Environment environment) : impl_(std::make_unique<Impl>(std::move(environment))) {}
Master::~Master() = default;
Result<bool> Master::needs_recovery() { return impl_->needs_recovery(); }
Result<Report> Master::recover() { return impl_->closing(impl_->recover()); }
Result<Preview> Master::preview(const Change& change) { return impl_->preview(change); }
Result<Report> Master::apply(const Change& change, const ApplyOptions& options) {
  return impl_->closing(impl_->apply(change, options));
}
Result<Report> Master::sync(bool repair) { return impl_->closing(impl_->sync(repair)); }
Result<Status> Master::status() { return impl_->status(); }

}  // namespace k4t::operation
