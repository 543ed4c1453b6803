#include "operation/course.hpp"

#include <algorithm>

#include "operation/nodes.hpp"
#include "operation/observed.hpp"

/// What an operation does, up to the decision and after it. How it ends stands in course_end.cpp.

namespace k4t::operation {
namespace {

using plan::Placed;
using plan::Plan;
using plan::World;

/// How often new instances are tried at other ports when somebody else holds theirs.
constexpr int port_attempts = 4;
/// Each round but the last removes something, so this is never reached by honest nodes.
constexpr int most_rounds = 10000;
constexpr std::chrono::milliseconds ttl_slice = std::chrono::milliseconds(100);

std::vector<Placed> placed_of(const std::vector<plan::Removal>& removals) {
  std::vector<Placed> all;
  for (const auto& removal : removals) all.push_back(removal.placed);
  return all;
}

std::vector<gateway::Endpoint> endpoints_of(const std::vector<Placed>& instances) {
  std::vector<gateway::Endpoint> all;
  for (const auto& placed : instances) {
    for (const auto& endpoint : placed.endpoints()) all.push_back(endpoint);
  }
  return all;
}

}  // namespace

Result<void> check_removal_limit(const model::Cluster& cluster, const Plan& plan) {
  const auto percent = plan::scaled_down_percent(plan);
  if (percent <= cluster.removal_limit_percent) return {};
  return Error{k4t::Status::invalid_argument,
               "this would remove " + std::to_string(percent) + " % of the instances, more than the limit of " +
                   std::to_string(cluster.removal_limit_percent) + " %; say --force if you mean it",
               {}};
}

std::vector<std::string> returned_nodes(const std::vector<plan::NodeView>& views) {
  std::vector<std::string> returned;
  for (const auto& view : views) {
    if (!view.problem && view.mark && view.mark->mark == model::Mark::lost) returned.push_back(view.name);
  }
  return returned;
}

Error problems_error(const plan::Plan& plan) {
  Error error{k4t::Status::invalid_argument, plan.problems.front(), {}};
  for (std::size_t i = 1; i < plan.problems.size(); ++i) {
    error.detail += (error.detail.empty() ? "and: " : "\nand: ") + plan.problems[i];
  }
  return error;
}

model::Cluster with_decided_witnesses(const model::Cluster& cluster, const txn::EntryPtr& latest) {
  model::Cluster planned = cluster;
  if (latest != nullptr) planned.witnesses = latest->state.witnesses;
  return planned;
}

Result<void> Conductor::run_rounds(Course& course) {
  for (int round = 0; round < most_rounds; ++round) {
    K4T_ASSIGN(const bool complete, run_round(course));
    if (!complete) continue;
    release_endpoints();
    return {};
  }
  return Error{k4t::Status::fatal, "the nodes answer so that this operation never comes to an end", {}};
}

/// True: nothing is left to be done after it.
Result<bool> Conductor::run_round(Course& course) {
  K4T_ASSIGN(auto world, observe_world(env_, run_.latest()));
  world.as_room_allows = course.as_room_allows;
  const auto returned = returned_nodes(world.nodes);
  const auto before = routes_of(run_.latest());
  K4T_ASSIGN(const Plan plan, start_instances(course, std::move(world)));
  for (const auto& warning : plan.warnings) env_.reporter.warning(warning);
  if (env_.interrupted) return interrupted_error();
  // Before traffic goes there: a node that cannot be read tomorrow is judged by what is remembered of it.
  K4T_TRY(remember_plan(env_, plan));
  if (plan.state_changes) {
    K4T_TRY(decide(course, plan));
  } else if (!course.decided) {
    K4T_TRY(settle_unchanged(course));
  }
  K4T_TRY(catch_up_members());
  K4T_TRY(retire(course, plan, before));
  K4T_TRY(remember(env_, read_nodes(env_)));
  K4T_TRY(forget_given_up(env_, plan));
  course.left_undone = plan.left_undone;
  if (!plan.complete) return false;
  // All that ran there is either wanted or gone by now.
  for (const auto& node : returned) K4T_TRY(env_.store.remove_mark(node));
  return true;
}

Result<void> Conductor::catch_up_members() {
  const auto members = run_.members();
  if (std::none_of(members.begin(), members.end(), needs_catching_up)) return {};
  return run_.catch_up({});
}

Result<Plan> Conductor::make_plan(const Course& course, const World& world) const {
  Plan plan = plan::make_plan(with_decided_witnesses(env_.cluster, run_.latest()), course.wanted, world, course.label,
                              env_.draw_id);
  if (!plan.problems.empty()) return problems_error(plan);
  if (!course.decided && !course.force) K4T_TRY(check_removal_limit(env_.cluster, plan));
  return plan;
}

/// Plans, and starts what the plan creates, healthy. Where somebody else holds a port, plans again without that port.
Result<Plan> Conductor::start_instances(Course& course, World world) {
  for (int attempt = 1;; ++attempt) {
    K4T_ASSIGN(Plan plan, make_plan(course, world));
    if (!plan.creations.empty()) {
      env_.reporter.stage("Start " + std::to_string(plan.creations.size()) + " instances");
      K4T_TRY(note_creations(course, plan));
    }
    std::vector<gateway::Endpoint> taken;
    const auto created = create_instances(env_, plan.creations, taken);
    if (created) {
      const auto& judged = course.decided ? std::string{} : course.label;
      K4T_TRY(await_healthy(env_, to_be_healthy(plan, run_.latest(), judged), course.wanted));
      return plan;
    }
    if (taken.empty() || attempt == port_attempts) return created.error();
    env_.reporter.warning(created.error().message + "; trying another port");
    world.not_reusable.insert(world.not_reusable.end(), taken.begin(), taken.end());
    K4T_TRY(clear_conflicts(course, world));
  }
}

/// So that undoing knows where to look: a node that was never touched cannot hold it up.
Result<void> Conductor::note_creations(Course& course, const Plan& plan) {
  for (const auto& creation : plan.creations) course.touched.insert(creation.placed.node);
  K4T_ASSIGN(const auto step, env_.store.intend(course.id, "create", Json{{"nodes", course.touched}}, env_.now_s()));
  static_cast<void>(step);
  return {};
}

/// Removes what this operation made and could not start, and reads the nodes again. Names alone are no proof of whose
/// an instance is: only what carries the operation's label goes.
Result<void> Conductor::clear_conflicts(const Course& course, World& world) {
  std::vector<Placed> failed;
  for (auto& placed : placed_instances(env_, read_nodes(env_))) {
    if (placed.operation == course.label && !placed.alive()) failed.push_back(std::move(placed));
  }
  K4T_TRY(remove_instances(env_, failed, course.wanted));
  world.nodes = read_nodes(env_);
  return add_marks(env_, world.nodes);
}

Result<void> Conductor::decide(Course& course, const Plan& plan) {
  env_.reporter.stage("Change gateways and DNS servers");
  const auto latest = run_.latest();
  const std::uint64_t version = latest == nullptr ? 1 : latest->record.version + 1;
  // A member that lags will go on sending traffic to what this version leaves out, whether or not an instance is there.
  const auto before = routes_of(latest);
  const plan::Routes after(plan.state);
  std::vector<gateway::Endpoint> dropped;
  std::set_difference(before.endpoints().begin(), before.endpoints().end(), after.endpoints().begin(),
                      after.endpoints().end(), std::back_inserter(dropped));
  const auto noted = env_.store.atomically([&]() -> Result<void> {
    K4T_TRY(note_version(course, version, plan.state));
    K4T_TRY(reserve(dropped, version));
    return course.decided ? Result<void>() : env_.store.set_phase(course.id, phase::proposed);
  });
  K4T_TRY(noted);
  run_.set_operation(course.id);
  K4T_ASSIGN(const auto outcome, run_.propose(plan.state));  // an error: nothing was sent
  if (outcome.verdict == txn::Verdict::decided) {
    course.decided = true;
    return mark_decided(course);
  }
  course.proposed = course.proposed || outcome.verdict != txn::Verdict::dropped;
  // Participants that the winner has moved on refuse as well, but it is the winner that people need to know.
  if (outcome.verdict == txn::Verdict::dropped) K4T_TRY(run_.require_not_overtaken());
  return outcome.why.value_or(Error{k4t::Status::unavailable, "the change was not decided", {}});
}

/// No transaction is needed: it is decided by the master alone.
Result<void> Conductor::settle_unchanged(Course& course) {
  const auto latest = run_.latest();
  const auto noted = env_.store.atomically([&]() -> Result<void> {
    if (latest != nullptr) K4T_TRY(note_version(course, latest->record.version, latest->state));
    return mark_decided(course);
  });
  K4T_TRY(noted);
  course.decided = true;
  return {};
}

Result<void> Conductor::mark_decided(Course& course) {
  return env_.store.atomically([&]() -> Result<void> {
    K4T_TRY(env_.store.replace_services(course.wanted));
    return env_.store.set_phase(course.id, phase::decided);
  });
}

Result<void> Conductor::reserve(const std::vector<gateway::Endpoint>& endpoints, std::uint64_t removed_in) {
  return env_.store.atomically([&]() -> Result<void> {
    for (const auto& endpoint : endpoints) {
      auto reserved = env_.store.reserve(endpoint.address, endpoint.port, "left out of a version");
      if (!reserved && reserved.status() != k4t::Status::conflict) return reserved;
      K4T_TRY(env_.store.mark_removed(endpoint.address, endpoint.port, removed_in));
    }
    return {};
  });
}

/// Takes what the decided state no longer names out of service: drained first, then stopped and removed. What a member
/// that answers still sends traffic to stays until that member has caught up.
Result<void> Conductor::retire(const Course& course, const Plan& plan, const plan::Routes& before) {
  if (plan.removals.empty()) return {};
  const auto members = run_.members();
  // What one that went away meanwhile was seen to serve says nothing of what it sends traffic to now.
  if (std::any_of(members.begin(), members.end(), lags)) K4T_TRY(run_.begin());
  K4T_TRY(run_.require_served());
  K4T_ASSIGN(const auto held, run_.routed_by_laggards());
  std::vector<Placed> going = placed_of(plan.removals);
  const auto stays = [&held](const Placed& placed) { return !held || held->lead_to(placed); };
  const auto kept = std::erase_if(going, stays);
  if (!going.empty()) {
    env_.reporter.stage("Drain and remove " + std::to_string(going.size()) + " instances");
    K4T_TRY(reserve(endpoints_of(going), run_.latest() == nullptr ? 0 : run_.latest()->record.version));
    auto services = course.wanted;
    services.insert(services.end(), course.former.begin(), course.former.end());
    K4T_TRY(await_ttl(going, services, before));
    std::set<std::string> serving;
    for (const auto& member : run_.members()) {
      const bool serves = member.standing == txn::Standing::current || member.standing == txn::Standing::drifted;
      if (member.who.group == txn::Group::gateway && serves) serving.insert(member.who.name);
    }
    K4T_TRY(await_drained(env_, going, services, serving));
    K4T_TRY(remove_instances(env_, going, services));
  }
  if (kept == 0) return {};
  return Error{k4t::Status::unavailable,
               std::to_string(kept) + " old instances stay, because a gateway or DNS server that has not taken the " +
                   "latest version still sends traffic to them; see `k4t status`",
               {}};
}

/// Clients go on using an instance's address for as long as the record's TTL allows. An operation that goes on after it
/// was cut short does not see what was served before it, but knows its services.
Result<void> Conductor::await_ttl(const std::vector<Placed>& going, const std::vector<model::Service>& services,
                                  const plan::Routes& before) {
  const auto known_to_clients = [&](const Placed& placed) {
    const auto reached = [&](const model::Service& service) {
      return service.name == placed.service && model::reach_of(env_.cluster, service) == model::Reach::instances;
    };
    return placed.alive() && (before.name(placed) || std::any_of(services.begin(), services.end(), reached));
  };
  if (std::none_of(going.begin(), going.end(), known_to_clients)) return {};
  const auto ttl_s = std::max(env_.cluster.dns_ttl_s, before.ttl_s());
  env_.reporter.happening({"dns", "waiting for the TTL", std::to_string(ttl_s) + " s", 0, 0});
  const std::chrono::milliseconds ttl = std::chrono::seconds(ttl_s);
  for (auto waited = std::chrono::milliseconds(0); waited < ttl; waited += ttl_slice) {
    if (env_.interrupted) return interrupted_error();
    env_.pause(ttl_slice);
  }
  return {};
}

}  // namespace k4t::operation
