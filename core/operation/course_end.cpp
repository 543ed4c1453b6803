#include <algorithm>

#include "k4t/digest.hpp"
#include "operation/course.hpp"
#include "operation/nodes.hpp"
#include "operation/observed.hpp"

/// The journal: how an operation begins, what became of one that was cut short, and how each ends.

namespace k4t::operation {
namespace {

using plan::Placed;

/// The journal's name for the step that says which version an operation stands for.
constexpr const char* version_step = "version";
constexpr const char* create_step = "create";

/// Names what a state routes, whoever proposed it and after whatever history.
std::string routing_digest(const model::State& state) {
  return sha256_hex(Json(state.gateways).dump() + '\n' + Json(state.dns).dump());
}

const model::NodeMark* mark_of(const std::vector<model::NodeMark>& marks, const std::string& node) {
  const auto found =
      std::find_if(marks.begin(), marks.end(), [&](const model::NodeMark& mark) { return mark.node == node; });
  return found == marks.end() ? nullptr : &*found;
}

std::string label_of(std::int64_t id, const std::string& run) { return std::to_string(id) + '-' + run.substr(0, 8); }

/// A member of a journal entry that may be damaged.
template <class T>
Result<T> read_member(const Json& object, const char* name) {
  if (!object.is_object()) return Error{k4t::Status::fatal, "it is no object", {}};
  const auto found = object.find(name);
  if (found == object.end()) return Error{k4t::Status::fatal, std::string("'") + name + "' is missing", {}};
  return decode<T>(*found);
}

}  // namespace

Result<Course> Conductor::begin(const std::string& kind, Course draft) {
  Course course = std::move(draft);
  K4T_ASSIGN(const auto marks, env_.store.marks());
  for (const auto& mark : marks) {
    if (mark_of(course.marks, mark.node) != nullptr) course.former_marks.push_back(mark);
  }
  Json arguments{{"wanted", course.wanted}, {"former", course.former}, {"run", env_.run}};
  if (!course.marks.empty()) arguments["marks"] = course.marks;
  if (!course.former_marks.empty()) arguments["former_marks"] = course.former_marks;
  if (course.as_room_allows) arguments["as_room_allows"] = true;
  const auto noted = env_.store.atomically([&]() -> Result<void> {
    K4T_ASSIGN(course.id, env_.store.begin_operation(kind, arguments, phase::started, env_.now_s()));
    for (const auto& mark : course.marks) K4T_TRY(env_.store.put_mark(mark));
    return {};
  });
  K4T_TRY(noted);
  course.label = label_of(course.id, env_.run);
  return course;
}

Result<void> Conductor::note_version(const Course& course, std::uint64_t version, const model::State& state) {
  const Json detail{{"version", version}, {"routing", routing_digest(state)}};
  const auto noted = env_.store.intend(course.id, version_step, detail, env_.now_s());
  return noted ? Result<void>() : noted.error();
}

Result<Course> Conductor::resume(const store::Operation& operation) {
  Course course;
  course.id = operation.id;
  // Without the run nothing on a node can be told to be this operation's, and nothing is touched.
  K4T_ASSIGN(const auto run, read_member<std::string>(operation.arguments, "run"));
  course.label = label_of(operation.id, run);
  auto wanted = read_member<std::vector<model::Service>>(operation.arguments, "wanted");
  if (wanted) {
    course.wanted = *std::move(wanted);
  } else {
    // An empty list would mean that everything is to be removed.
    course.unreadable = wanted.error().within("the journal of operation " + std::to_string(operation.id));
  }
  if (auto former = read_member<std::vector<model::Service>>(operation.arguments, "former")) {
    course.former = *std::move(former);
  }
  if (operation.arguments.contains("marks")) {
    K4T_ASSIGN(course.marks, read_member<std::vector<model::NodeMark>>(operation.arguments, "marks"));
  }
  if (operation.arguments.contains("former_marks")) {
    K4T_ASSIGN(course.former_marks, read_member<std::vector<model::NodeMark>>(operation.arguments, "former_marks"));
  }
  if (operation.arguments.contains("as_room_allows")) {
    K4T_ASSIGN(course.as_room_allows, read_member<bool>(operation.arguments, "as_room_allows"));
  }
  K4T_ASSIGN(const auto steps, env_.store.steps(operation.id));
  for (const auto& step : steps) {
    if (step.kind != create_step) continue;
    K4T_ASSIGN(const auto nodes, read_member<std::set<std::string>>(step.detail, "nodes"));
    course.touched.insert(nodes.begin(), nodes.end());
  }
  return course;
}

Result<Fate> Conductor::fate_of(const store::Operation& operation) {
  const bool noted_decided = operation.phase == phase::decided;
  if (!noted_decided && operation.phase != phase::proposed) return Fate::undecided;
  K4T_ASSIGN(const auto steps, env_.store.steps(operation.id));
  const auto step =
      std::find_if(steps.rbegin(), steps.rend(), [](const store::Step& one) { return one.kind == version_step; });
  if (step == steps.rend()) return noted_decided ? Fate::decided : Fate::undecided;
  K4T_ASSIGN(const auto version, read_member<std::uint64_t>(step->detail, "version"));
  K4T_ASSIGN(const auto routing, read_member<std::string>(step->detail, "routing"));
  const auto latest = run_.latest();
  const std::uint64_t decided = latest == nullptr ? 0 : latest->record.version;
  if (decided > version) return Fate::overtaken;
  if (decided == version && latest != nullptr && routing_digest(latest->state) == routing) return Fate::decided;
  if (!noted_decided) return Fate::undecided;
  // Its first rounds were decided. Only the last one is open, or was another master's to decide.
  return decided < version ? Fate::decided : Fate::overtaken;
}

/// Removes what the operation made and no decided state sends traffic to.
Result<void> Conductor::undo(const Course& course) {
  K4T_TRY(env_.store.set_phase(course.id, phase::undoing));
  if (course.touched.empty()) return {};
  // Another run may have built on these instances; latest() would not show it.
  K4T_TRY(run_.require_not_overtaken());
  const auto views = read_nodes(env_);
  const auto served = routes_of(run_.latest());
  std::vector<Placed> made;
  for (auto& placed : placed_instances(env_, views)) {
    if (placed.operation == course.label && !served.lead_to(placed)) made.push_back(std::move(placed));
  }
  if (!made.empty()) env_.reporter.stage("Undo: remove " + std::to_string(made.size()) + " new instances");
  K4T_TRY(remove_instances(env_, made, course.wanted));
  for (const auto& view : views) {
    if (!view.problem || !course.touched.contains(view.name)) continue;
    return view.problem->within("what this operation made there cannot be removed now");
  }
  return {};
}

/// Those that nobody has changed since.
Result<void> Conductor::take_back_marks(const Course& course) {
  K4T_ASSIGN(const auto now, env_.store.marks());
  for (const auto& mark : course.marks) {
    const auto* present = mark_of(now, mark.node);
    if (present == nullptr || !(*present == mark)) continue;
    const auto* former = mark_of(course.former_marks, mark.node);
    K4T_TRY(former == nullptr ? env_.store.remove_mark(mark.node) : env_.store.put_mark(*former));
  }
  return {};
}

Result<void> Conductor::close(const Course& course, const std::string& word) {
  return env_.store.end_operation(course.id, word, env_.now_s());
}

/// Its plan took in all that earlier decided operations had left to do, so that these end with it.
Result<void> Conductor::note_done(const Course& course) {
  return env_.store.atomically([&]() -> Result<void> {
    K4T_TRY(close(course, "done"));
    K4T_ASSIGN(const auto others, env_.store.unfinished_operations());
    for (const auto& other : others) {
      if (other.phase != phase::decided && other.phase != phase::proposed) continue;
      const std::string word = "superseded by operation " + std::to_string(course.id);
      K4T_TRY(env_.store.end_operation(other.id, word, env_.now_s()));
    }
    return {};
  });
}

Report Conductor::end(Course& course, const Result<void>& outcome) {
  if (outcome) {
    if (const auto noted = note_done(course); !noted) return report(Ending::unfinished, noted.error());
    auto done = report(ending_of_members());
    if (course.as_room_allows) done.left_undone = course.left_undone;
    return done;
  }
  if (course.decided || course.proposed) return report(Ending::unfinished, outcome.error());
  auto undone = undo(course);
  if (undone) {
    undone = env_.store.atomically([&]() -> Result<void> {
      K4T_TRY(take_back_marks(course));
      return close(course, "failed: " + outcome.error().message);
    });
  }
  if (undone) return report(Ending::failed, outcome.error());
  env_.reporter.warning(undone.error().message);
  return report(Ending::unfinished, outcome.error());
}

Report Conductor::report(Ending ending, std::optional<Error> why) const {
  Report report;
  report.ending = ending;
  report.why = std::move(why);
  report.latest = run_.latest();
  report.members = run_.members();
  report.version = report.latest == nullptr ? 0 : report.latest->record.version;
  report.single_copy = run_.single_copy();
  return report;
}

Ending Conductor::ending_of_members() const {
  const auto members = run_.members();
  return std::any_of(members.begin(), members.end(), lags) ? Ending::lagging : Ending::done;
}

void Conductor::release_endpoints() {
  const auto latest = run_.latest();
  if (latest == nullptr) return;
  std::uint64_t passed = latest->record.version;
  for (const auto& member : run_.members()) {
    if (!member.listed || member.standing == txn::Standing::blank) continue;
    const bool known = member.seen && member.seen->served && member.seen->stored;
    if (!known || member.standing == txn::Standing::diverged) return;  // it may serve anything older
    passed = std::min({passed, member.seen->served->version, member.seen->stored->version});
  }
  if (auto released = env_.store.release_passed(passed); !released) env_.reporter.warning(released.error().message);
}

}  // namespace k4t::operation
