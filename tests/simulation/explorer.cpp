#include "explorer.hpp"

#include <random>
#include <unordered_set>
#include <utility>
#include <vector>

namespace k4t::simulation {
namespace {

/// No path of the worlds here comes near it; a coordinator that never rests would.
constexpr std::size_t kSteps = 4000;

class Search {
 public:
  Search(std::uint64_t limit_states, std::uint64_t recovery_every)
      : limit_states_(limit_states), recovery_every_(recovery_every) {}

  Report run(const Config& config) {
    report_.complete = true;
    enter(World(config));
    while (!stack_.empty() && !report_.violation) {
      Frame& top = stack_.back();
      if (top.next == top.choices.size()) {
        stack_.pop_back();
        continue;
      }
      const Choice choice = top.choices[top.next++];
      World next = top.world;
      next.take(choice);
      ++report_.steps;
      enter(std::move(next));
    }
    return std::move(report_);
  }

 private:
  struct Frame {
    World world;
    std::vector<Choice> choices;
    std::size_t next = 0;
  };

  void enter(World world) {
    const std::uint64_t mark = world.fingerprint();
    if (!seen_.insert(mark).second) return;
    if (++report_.states > limit_states_) {
      report_.complete = false;
      return;
    }
    Frame frame{std::move(world), {}, 0};
    frame.world.choices(frame.choices);
    std::optional<std::string> violation = frame.world.violation();
    if (!violation && (frame.choices.empty() || mark % recovery_every_ == 0)) {
      ++report_.recoveries;
      violation = World::recover(frame.world, mark / recovery_every_);
    }
    if (violation) report_.violation = tell(*violation, frame.world);
    stack_.push_back(std::move(frame));
  }

  [[nodiscard]] std::string tell(const std::string& what, const World& end) const {
    std::string text = what + "\n";
    for (const auto& frame : stack_) text += "  " + frame.world.describe(frame.choices[frame.next - 1]) + "\n";
    return text + end.describe();
  }

  std::uint64_t limit_states_;
  std::uint64_t recovery_every_;
  std::unordered_set<std::uint64_t> seen_;
  std::vector<Frame> stack_;
  Report report_;
};

/// Chooses steps. How often something goes wrong, how long one run goes on before another has its turn, and how often
/// old messages arrive is drawn once for each path: so some paths get far, and others meet everything at once.
class Scheduler {
 public:
  explicit Scheduler(std::mt19937_64& random)
      : random_(random), faults_(2 + random() % 30), sticks_(random() % 4), late_(1 + random() % 8) {}

  /// Absent: every run has ended, and nothing more arrives.
  std::optional<Choice> next(const World& world) {
    world.choices(all_);
    sort(world);
    if (!faulty_.empty() && !progress_.empty() && random_() % faults_ == 0) return pick(faulty_);
    if (!late_ones_.empty() && random_() % late_ == 0) return pick(late_ones_);
    if (!same_run_.empty() && random_() % 4 < sticks_) return pick(same_run_);
    if (!progress_.empty()) return remember(world, pick(progress_));
    if (starts_.empty()) return {};
    return remember(world, pick(starts_));
  }

 private:
  void sort(const World& world) {
    for (auto* list : {&progress_, &starts_, &late_ones_, &same_run_, &faulty_}) list->clear();
    for (const auto& choice : all_) {
      switch (choice.kind) {
        case Choice::Kind::deliver:
          progress_.push_back(choice);
          if (world.run_of(choice) == last_run_) same_run_.push_back(choice);
          break;
        case Choice::Kind::start: starts_.push_back(choice); break;
        case Choice::Kind::late: late_ones_.push_back(choice); break;
        default: faulty_.push_back(choice);
      }
    }
    // A run begins now and then while others are at work.
    if (!starts_.empty() && random_() % 8 == 0) progress_.push_back(pick(starts_));
  }

  Choice pick(const std::vector<Choice>& from) { return from[random_() % from.size()]; }
  Choice remember(const World& world, const Choice& choice) {
    last_run_ = world.run_of(choice);
    return choice;
  }

  std::mt19937_64& random_;
  std::uint64_t faults_;
  std::uint64_t sticks_;
  std::uint64_t late_;
  std::optional<std::size_t> last_run_;
  std::vector<Choice> all_;
  std::vector<Choice> progress_;
  std::vector<Choice> starts_;
  std::vector<Choice> late_ones_;
  std::vector<Choice> same_run_;
  std::vector<Choice> faulty_;
};

std::optional<std::string> try_recovery(World world, std::mt19937_64& random, Report& report) {
  ++report.recoveries;
  return World::recover(std::move(world), random());
}

using Step = std::function<void(const std::string&)>;

void follow(const Config& config, std::uint64_t seed, std::mt19937_64& random, Report& report, const Step& step) {
  if (step) step(describe(config));
  World world(config);
  Scheduler scheduler(random);
  std::optional<std::string> violation;
  std::size_t steps = 0;
  for (auto choice = scheduler.next(world); choice; choice = scheduler.next(world)) {
    if (step) step(world.describe(*choice));
    world.take(*choice);
    ++steps;
    violation = world.violation();
    if (!violation && steps == kSteps) violation = "a path without an end";
    if (!violation && random() % 64 == 0) violation = try_recovery(world, random, report);
    if (violation) break;
  }
  report.steps += steps;
  report.decided += world.watcher().decided().size();
  ++report.schedules;
  const std::string end = step ? world.describe() : std::string();
  if (!violation) violation = try_recovery(std::move(world), random, report);
  if (step) step(end);
  if (!violation) return;
  report.violation = *violation;
  report.seed = seed;
}

/// `path` goes along the path of one seed.
template <class Path>
Report follow_each(std::uint64_t first, std::uint64_t count, Path path) {
  Report report;
  for (std::uint64_t seed = first; seed - first < count && !report.violation; ++seed) path(seed, report, Step{});
  if (!report.violation) return report;
  // Again, this time telling every step.
  std::string text;
  Report again;
  path(report.seed, again, [&](const std::string& line) { text += "  " + line + "\n"; });
  report.violation = "seed " + std::to_string(report.seed) + ": " + *report.violation + "\n" + text;
  return report;
}

}  // namespace

Report exhaust(Config config, std::uint64_t limit_states, std::uint64_t recovery_every) {
  config.hashed = true;
  return Search(limit_states, recovery_every).run(config);
}

void stroll(std::uint64_t seed, Mistake mistake, Report& report, const std::function<void(const std::string&)>& step) {
  std::mt19937_64 random(seed);
  const Config config = draw_config(random, mistake);
  follow(config, seed, random, report, step);
}

Report walk(std::uint64_t first, std::uint64_t count, Mistake mistake) {
  return follow_each(
      first, count, [&](std::uint64_t seed, Report& report, const Step& step) { stroll(seed, mistake, report, step); });
}

Report walk_in(const Config& config, std::uint64_t first, std::uint64_t count) {
  return follow_each(first, count, [&](std::uint64_t seed, Report& report, const Step& step) {
    std::mt19937_64 random(seed);
    follow(config, seed, random, report, step);
  });
}

std::string describe(const Config& config) {
  const auto number = [](const char* name, int value) {
    return std::string(name) + " " + std::to_string(value) + ", ";
  };
  return number("witnesses", config.witnesses) + number("gateways", config.gateways) + number("dns", config.dns) +
         number("hosts", config.hosts) + number("chunks", config.chunks) + number("runs", config.runs) +
         number("proposals", config.proposals) + number("sets", static_cast<int>(config.sets.size())) +
         number("faults", config.faults) + number("crashes", config.crashes) + number("wipes", config.wipes) +
         number("cuts", config.cuts) + number("replacements", config.replacements) +
         number("store faults", config.store_faults) + number("forces", config.forces) +
         number("drifts", config.drifts) + (config.fresh ? "registers not made, " : "") +
         (config.stores ? "" : "no stores, ") + (config.courtesy ? "courtesy, " : "") +
         (config.availability == model::Availability::all ? "all must prepare" : "one must prepare");
}

}  // namespace k4t::simulation
