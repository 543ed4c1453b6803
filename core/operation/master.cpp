#include "operation/master.hpp"

#include <algorithm>
#include <future>
#include <map>

#include "operation/adoption.hpp"
#include "operation/course.hpp"
#include "operation/difference.hpp"
#include "operation/node_set.hpp"
#include "operation/nodes.hpp"
#include "operation/observed.hpp"
#include "operation/run.hpp"
#include "operation/witnesses.hpp"
#include "plan/routing.hpp"

namespace k4t::operation {
namespace {

std::vector<model::Service> merge(const std::vector<model::Service>& before, const Change& change) {
  std::map<std::string, model::Service> wanted;
  for (const auto& service : before) wanted[service.name] = service;
  for (const auto& service : change.put) wanted[service.name] = service;
  for (const auto& name : change.removed) wanted.erase(name);
  std::vector<model::Service> services;
  for (auto& [name, service] : wanted) services.push_back(std::move(service));
  return services;
}

}  // namespace

class Master::Impl {
 public:
  explicit Impl(Environment environment) : env_(std::move(environment)), run_(env_), conductor_(env_, run_) {}

  Result<bool> needs_recovery() {
    K4T_ASSIGN(const auto unfinished, env_.store.unfinished_operations());
    return !unfinished.empty();
  }

  Result<Report> recover();
  Result<Preview> preview(const Change& change);
  Result<Report> apply(const Change& change, const ApplyOptions& options);
  Result<Report> drain(const std::vector<std::string>& nodes, const std::string& why, const ApplyOptions& options);
  Result<Report> repair(const std::vector<std::string>& nodes, const std::string& why, const ApplyOptions& options);
  Result<Report> sync(bool repair);
  Result<Status> status(StatusWatcher* watcher);
  Result<Status> known_status() const;

 private:
  /// What became of all that earlier commands left.
  struct Settled {
    bool any = false;           ///< something was left
    std::optional<Error> left;  ///< why some of it is still left
    bool usable = true;         ///< another change may be made all the same: its plan takes in what is left
  };
  Result<Settled> settle_left();
  Result<std::vector<Course>> sort_out(const std::vector<store::Operation>& operations, Settled& settled,
                                       std::optional<Course>& newest);
  Result<void> finish(Course& course, Settled& settled);
  Report report_of(const Settled& settled);
  Report follow_wish(Report report);
  Report nothing_done(const Preview& preview, const Change& change) const;
  Result<Report> do_small_things(const Preview& preview, const Change& change);
  Report nothing_done(const txn::Assessment& assessment) const;
  Result<void> require_metadata(const std::vector<plan::NodeView>& views) const;
  Result<void> preview_marks(const Change& change, plan::World& world, Preview& preview) const;
  std::optional<Error> objection(const Preview& preview, const ApplyOptions& options) const;
  void warn_of_missing_capabilities(const plan::Plan& plan, Preview& preview) const;

  Environment env_;
  Run run_;
  Conductor conductor_;
};

void Master::Impl::warn_of_missing_capabilities(const plan::Plan& plan, Preview& preview) const {
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

Result<Preview> Master::Impl::preview(const Change& change) {
  Preview preview;
  K4T_ASSIGN(const auto before, env_.store.services());
  preview.services = merge(before, change);
  preview.declarations_change = !(preview.services == before);
  K4T_ASSIGN(preview.assessment, run_.assess());
  K4T_ASSIGN(auto world, observe_world(env_, preview.assessment.latest));
  world.as_room_allows = change.as_room_allows;
  K4T_TRY(preview_marks(change, world, preview));
  preview.plan = plan::make_plan(with_decided_witnesses(env_.cluster, preview.assessment.latest), preview.services,
                                 world, "preview", env_.draw_id);
  preview.differences = routing_difference(world.latest.value_or(model::State{}), preview.plan.state);
  if (const auto& latest = preview.assessment.latest) {
    preview.witnesses = describe(wished_witnesses(env_.cluster.witnesses, latest->state.witnesses, env_.run));
  }
  preview.catch_up =
      std::any_of(preview.assessment.members.begin(), preview.assessment.members.end(), needs_catching_up);
  const plan::Plan planned = preview.plan;
  warn_of_missing_capabilities(planned, preview);
  return preview;
}

std::optional<Error> Master::Impl::objection(const Preview& preview, const ApplyOptions& options) const {
  if (!preview.plan.problems.empty()) {
    return problems_error(preview.plan);
  }
  if (auto refused = check_removal_limit(env_.cluster, preview.plan); !refused && !options.force) {
    return refused.error();
  }
  if (options.confirm && !options.confirm(preview)) {
    return Error{k4t::Status::invalid_argument, "not confirmed", {}};
  }
  return std::nullopt;
}

Report Master::Impl::nothing_done(const txn::Assessment& assessment) const {
  Report nothing;
  const bool lagging = std::any_of(assessment.members.begin(), assessment.members.end(), lags);
  nothing.ending = lagging ? Ending::lagging : Ending::unchanged;
  nothing.latest = assessment.latest;
  nothing.version = nothing.latest == nullptr ? 0 : nothing.latest->record.version;
  nothing.members = assessment.members;
  return nothing;
}

Result<Report> Master::Impl::apply(const Change& change, const ApplyOptions& options) {
  const Closing closing(run_);
  K4T_ASSIGN(const auto settled, settle_left());
  if (!settled.usable) return report_of(settled);
  if (settled.left) env_.reporter.warning(settled.left->message);
  K4T_ASSIGN(const auto before, preview(change));
  if (before.nothing_to_do() && !before.assessment.unfinished) {
    return settled.left ? report_of(settled) : nothing_done(before, change);
  }
  if (auto why = objection(before, options)) return conductor_.report(Ending::failed, *std::move(why));
  if (before.only_small_things() && !before.assessment.unfinished) return do_small_things(before, change);
  Course draft;
  draft.wanted = before.services;
  K4T_ASSIGN(draft.former, env_.store.services());
  draft.marks = before.marks;
  draft.as_room_allows = change.as_room_allows;
  draft.force = options.force;
  // Before the journal: who cannot begin has nothing to undo.
  if (auto begun = run_.begin(); !begun) return conductor_.report(Ending::failed, begun.error());
  auto course = conductor_.begin(change.kind, std::move(draft));
  if (!course) return conductor_.report(Ending::failed, course.error());
  const auto outcome = conductor_.run_rounds(*course);
  return follow_wish(conductor_.end(*course, outcome));
}

/// What needs no operation: words about nodes are the master's own, and witnesses have versions of their own.
Result<Report> Master::Impl::do_small_things(const Preview& preview, const Change& change) {
  const auto noted = env_.store.atomically([&]() -> Result<void> {
    for (const auto& mark : preview.marks) K4T_TRY(env_.store.put_mark(mark));
    for (const auto& node : preview.returned) K4T_TRY(env_.store.remove_mark(node));
    return {};
  });
  K4T_TRY(noted);
  if (preview.witnesses.empty()) {
    auto report = nothing_done(preview, change);
    if (report.ending == Ending::unchanged) report.ending = Ending::done;
    return report;
  }
  if (auto begun = run_.begin(); !begun) return conductor_.report(Ending::failed, begun.error());
  return follow_wish(conductor_.report(conductor_.ending_of_members()));
}

Report Master::Impl::nothing_done(const Preview& preview, const Change& change) const {
  Report report = nothing_done(preview.assessment);
  if (change.as_room_allows) report.left_undone = preview.plan.left_undone;
  return report;
}

/// The world as it will be once the change has set nodes apart.
Result<void> Master::Impl::preview_marks(const Change& change, plan::World& world, Preview& preview) const {
  for (const auto& mark : change.marks) {
    const auto view = std::find_if(world.nodes.begin(), world.nodes.end(),
                                   [&](const plan::NodeView& one) { return one.name == mark.node; });
    if (view == world.nodes.end()) return require_nodes(env_, {mark.node});
    if (view->mark && view->mark->mark == mark.mark && (mark.why.empty() || view->mark->why == mark.why)) continue;
    view->mark = mark;
    preview.marks.push_back(mark);
  }
  preview.returned = returned_nodes(world.nodes);
  return {};
}

/// What is not declared is removed by every change. Without service files only the store says what is declared, and one
/// that knows of no command at all has not seen how these instances came to be.
Result<void> Master::Impl::require_metadata(const std::vector<plan::NodeView>& views) const {
  const bool empty =
      std::all_of(views.begin(), views.end(), [](const plan::NodeView& view) { return view.instances.empty(); });
  if (empty) return {};
  K4T_ASSIGN(const auto operations, env_.store.operations(1));
  if (!operations.empty()) return {};
  return Error{k4t::Status::conflict,
               "instances of the cluster run, but this master's metadata knows of no command that made any: bring the "
               "metadata back, or `k4t apply` all service files first",
               {}};
}

Result<Report> Master::Impl::drain(const std::vector<std::string>& nodes, const std::string& why,
                                   const ApplyOptions& options) {
  K4T_TRY(require_nodes(env_, nodes));
  auto views = read_nodes(env_);
  read_again(env_, views);
  K4T_TRY(require_metadata(views));
  Change change{{}, {}, {}, true, "drain"};
  for (const auto& view : views) {
    if (std::find(nodes.begin(), nodes.end(), view.name) == nodes.end()) continue;
    if (view.problem) {
      return Error{k4t::Status::unavailable,
                   "what runs on node '" + view.name +
                       "' cannot be read, so it cannot be moved: " + view.problem->message +
                       "; if it is gone for good, `k4t repair " + view.name + "` places it anew elsewhere",
                   view.problem->detail};
    }
    change.marks.push_back({view.name, model::Mark::draining, why, env_.holder, env_.now_s()});
  }
  return apply(change, options);
}

Result<Report> Master::Impl::repair(const std::vector<std::string>& nodes, const std::string& why,
                                    const ApplyOptions& options) {
  K4T_TRY(require_nodes(env_, nodes));
  auto views = read_nodes(env_);
  read_again(env_, views);
  K4T_TRY(require_metadata(views));
  Change change{{}, {}, {}, true, "repair"};
  for (const auto& view : views) {
    const bool named = std::find(nodes.begin(), nodes.end(), view.name) != nodes.end();
    if (!view.problem && named) {
      return Error{k4t::Status::conflict,
                   "node '" + view.name + "' answers, so it is not lost; `k4t node drain " + view.name + "` empties it",
                   {}};
    }
    if (!view.problem || (!named && !nodes.empty())) continue;
    change.marks.push_back({view.name, model::Mark::lost, why, env_.holder, env_.now_s()});
  }
  return apply(change, options);
}

/// Makes the witnesses of k4t.toml the decided ones, in a version of its own: a wrong address there stops no deploy.
Report Master::Impl::follow_wish(Report report) {
  const bool ended = report.ending == Ending::done || report.ending == Ending::lagging;
  const auto latest = run_.latest();
  if (!ended || !run_.ready() || latest == nullptr) return report;
  const auto change = wished_witnesses(env_.cluster.witnesses, latest->state.witnesses, env_.run);
  if (change.empty()) return report;
  env_.reporter.stage("Change the witnesses as k4t.toml names them");
  const auto stay = [&](const Error& why) {
    env_.reporter.warning("the witnesses stay as they were: " + why.message +
                          (why.detail.empty() ? std::string() : "\n" + why.detail));
    return report;
  };
  const auto seen = run_.look();
  if (!seen) return stay(seen.error());
  if (auto checked = check_witnesses(run_, change, *seen); !checked) return stay(checked.error());
  const auto outcome = change_witnesses(run_, change);
  if (!outcome) return stay(outcome.error());
  if (outcome->verdict == txn::Verdict::dropped) return stay(*outcome->why);
  if (outcome->verdict != txn::Verdict::decided) return conductor_.report(Ending::unfinished, outcome->why);
  return conductor_.report(conductor_.ending_of_members());
}

// ---- what earlier commands left ---------------------------------------------------------------------------------

/// Ends what nothing is left to be done for. Returns what was never decided; `newest` is what is to be finished.
Result<std::vector<Course>> Master::Impl::sort_out(const std::vector<store::Operation>& operations, Settled& settled,
                                                   std::optional<Course>& newest) {
  std::vector<Course> undecided;
  for (const auto& operation : operations) {
    if (is_restore(operation)) continue;
    auto course = conductor_.resume(operation);
    const auto fate = course ? conductor_.fate_of(operation) : Result<Fate>(course.error());
    if (!fate) {
      settled.left = fate.error().within("operation " + std::to_string(operation.id) + " in the journal");
    } else if (*fate == Fate::undecided) {
      undecided.push_back(*std::move(course));
    } else if (*fate == Fate::overtaken) {
      env_.reporter.warning("operation " + std::to_string(operation.id) +
                            " is left as it is: a later change was decided since, perhaps by another master");
      K4T_TRY(conductor_.close(*course, "overtaken by version " + std::to_string(run_.latest()->record.version)));
    } else {
      // Finishing an older one would turn back what came after it.
      if (newest) K4T_TRY(conductor_.close(*newest, "superseded by operation " + std::to_string(course->id)));
      newest = *std::move(course);
    }
  }
  return undecided;
}

Result<void> Master::Impl::finish(Course& course, Settled& settled) {
  if (course.unreadable) {
    settled.left = course.unreadable;
    return {};
  }
  course.decided = true;
  K4T_TRY(conductor_.mark_decided(course));
  const auto outcome = conductor_.run_rounds(course);
  const auto report = conductor_.end(course, outcome);
  if (report.ending == Ending::unfinished) settled.left = report.why;
  return {};
}

Result<Master::Impl::Settled> Master::Impl::settle_left() {
  Settled settled;
  K4T_ASSIGN(const auto unfinished, env_.store.unfinished_operations());
  if (unfinished.empty()) return settled;
  settled.any = true;
  const auto stuck = [&settled](const Error& why) {
    settled.left = why;
    settled.usable = false;
    return settled;
  };
  env_.reporter.stage("Finish what an earlier command left");
  if (auto begun = run_.begin(); !begun) return stuck(begun.error());
  std::optional<Course> newest;
  auto undecided = sort_out(unfinished, settled, newest);
  if (!undecided) return stuck(undecided.error());
  for (Course& course : *undecided) {
    const auto ended = conductor_.end(
        course, Error{k4t::Status::deadline, "an earlier command was cut short before its change was decided", {}});
    if (ended.ending == Ending::unfinished) settled.left = ended.why;
  }
  if (newest) {
    if (auto finished = finish(*newest, settled); !finished) return stuck(finished.error());
  }
  settled.usable = run_.ready() && !env_.interrupted;
  if (!settled.usable && !settled.left) settled.left = Error{k4t::Status::deadline, "interrupted", {}};
  if (!settled.usable) return settled;
  // Last, when what the copy knew of is ended: what runs and is served then is the truth.
  for (const auto& operation : unfinished) {
    if (!is_restore(operation)) continue;
    if (auto caught_up = run_.catch_up({}); !caught_up) return stuck(caught_up.error());
    if (auto finished = finish_restore(env_, run_, operation); !finished) return stuck(finished.error());
  }
  return settled;
}

Report Master::Impl::report_of(const Settled& settled) {
  if (!settled.any) return conductor_.report(Ending::unchanged);
  if (settled.left) return conductor_.report(Ending::unfinished, settled.left);
  return conductor_.report(conductor_.ending_of_members());
}

Result<Report> Master::Impl::recover() {
  const Closing closing(run_);
  K4T_ASSIGN(const auto settled, settle_left());
  return report_of(settled);
}

Result<Report> Master::Impl::sync(bool repair) {
  const Closing closing(run_);
  K4T_ASSIGN(const auto settled, settle_left());
  if (!settled.usable) return report_of(settled);
  K4T_ASSIGN(const auto assessment, run_.assess());
  const auto concerns = [repair](const txn::Member& member) {
    return needs_catching_up(member) || (repair && member.standing == txn::Standing::drifted);
  };
  if (!assessment.unfinished && std::none_of(assessment.members.begin(), assessment.members.end(), concerns)) {
    return settled.left ? report_of(settled) : nothing_done(assessment);
  }
  env_.reporter.stage("Bring returned participants to the latest version");
  if (auto begun = run_.begin(); !begun) return conductor_.report(Ending::failed, begun.error());
  if (auto caught_up = run_.catch_up({repair, {}}); !caught_up) {
    return conductor_.report(Ending::unfinished, caught_up.error());
  }
  conductor_.release_endpoints();
  return settled.left ? report_of(settled) : conductor_.report(conductor_.ending_of_members());
}

/// What the store tells, before anybody is asked.
Result<Status> Master::Impl::known_status() const {
  Status status;
  K4T_ASSIGN(status.services, env_.store.services());
  K4T_ASSIGN(status.unfinished, env_.store.unfinished_operations());
  K4T_ASSIGN(status.decisions, decisions(env_.store));
  K4T_ASSIGN(status.contacts, contacts(env_.store));
  for (const auto& node : env_.fleet.nodes()) {
    status.nodes.emplace_back();
    status.nodes.back().name = node->config().name;
  }
  K4T_TRY(add_marks(env_, status.nodes));
  status.now_s = env_.now_s();
  return status;
}

Result<Status> Master::Impl::status(StatusWatcher* watcher) {
  K4T_ASSIGN(Status status, known_status());
  if (watcher != nullptr) watcher->on_begin(status);
  const auto on_read = [&](const plan::NodeView& view) {
    if (watcher != nullptr) watcher->on_node(view);
  };
  // Side by side, so that silent machines of both kinds cost no more than one.
  auto nodes = std::async(std::launch::async, [&] { return read_nodes(env_, on_read); });
  K4T_ASSIGN(status.assessment, run_.look(watcher));
  status.nodes = nodes.get();
  K4T_TRY(add_marks(env_, status.nodes));
  status.instances = placed_instances(env_, status.nodes);
  status.now_s = env_.now_s();
  const auto noted = env_.store.atomically([&]() -> Result<void> {
    K4T_TRY(remember(env_, status.nodes));
    return note_contacts(env_.store, status.assessment.members, status.now_s);
  });
  if (!noted) env_.reporter.warning(noted.error().message);
  return status;
}

Master::Master(Environment environment) : impl_(std::make_unique<Impl>(std::move(environment))) {}
Master::~Master() = default;
Result<bool> Master::needs_recovery() { return impl_->needs_recovery(); }
Result<Report> Master::recover() { return impl_->recover(); }
Result<Preview> Master::preview(const Change& change) { return impl_->preview(change); }
Result<Report> Master::apply(const Change& change, const ApplyOptions& options) {
  return impl_->apply(change, options);
}
Result<Report> Master::drain(const std::vector<std::string>& nodes, const std::string& why,
                             const ApplyOptions& options) {
  return impl_->drain(nodes, why, options);
}
Result<Report> Master::repair(const std::vector<std::string>& nodes, const std::string& why,
                              const ApplyOptions& options) {
  return impl_->repair(nodes, why, options);
}
Result<Report> Master::sync(bool repair) { return impl_->sync(repair); }
Result<Status> Master::status(StatusWatcher* watcher) { return impl_->status(watcher); }

}  // namespace k4t::operation
