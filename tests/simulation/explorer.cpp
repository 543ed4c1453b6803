#include "explorer.hpp"

#include <functional>
#include <random>
#include <unordered_set>
#include <utility>

namespace k4t::simulation {
namespace {

/// No path of the worlds here comes near it; a coordinator that never rests would.
constexpr std::size_t kSteps = 2000;

struct Frame {
  World world;
  std::vector<Choice> choices;
  std::size_t next = 0;
};

std::string tell(const std::string& what, const std::vector<Choice>& path, const World& world) {
  std::string text = what + "\nafter " + std::to_string(path.size()) + " steps:";
  for (const auto& choice : path) text += " " + to_string(choice) + ";";
  return text + "\n" + world.describe();
}

std::optional<std::string> try_recovery(const World& world, std::size_t draw) {
  const auto majorities = world.minimal_majorities();
  return world.check_recovery(majorities[draw % majorities.size()]);
}

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
        if (!path_.empty()) path_.pop_back();
        continue;
      }
      const Choice choice = top.choices[top.next++];
      World next = top.world;
      next.take(choice);
      ++report_.transitions;
      path_.push_back(choice);
      if (!enter(std::move(next))) path_.pop_back();
    }
    return std::move(report_);
  }

 private:
  /// False: this state was seen before, or there is no room for it.
  bool enter(World world) {
    const std::size_t hash = std::hash<std::string>()(world.fingerprint());
    if (!seen_.insert(hash).second) return false;
    if (++report_.states > limit_states_) {
      report_.complete = false;
      return false;
    }
    Frame frame{std::move(world), {}, 0};
    frame.choices = frame.world.choices();
    check(frame, hash);
    stack_.push_back(std::move(frame));
    return true;
  }

  void check(const Frame& frame, std::size_t hash) {
    std::optional<std::string> violation = frame.world.violation();
    if (!violation && (frame.choices.empty() || hash % recovery_every_ == 0)) {
      ++report_.recoveries;
      violation = try_recovery(frame.world, hash / recovery_every_);
    }
    if (violation) report_.violation = tell(*violation, path_, frame.world);
  }

  std::uint64_t limit_states_;
  std::uint64_t recovery_every_;
  std::unordered_set<std::size_t> seen_;
  std::vector<Frame> stack_;
  std::vector<Choice> path_;
  Report report_;
};

/// One random path. Faults, crashes and wipes are chosen less often than progress, so that paths get far.
void stroll(const Config& config, std::uint64_t seed, Report& report) {
  std::mt19937_64 random(seed);
  World world(config);
  std::vector<Choice> path;
  for (auto choices = world.choices(); !choices.empty() && path.size() < kSteps; choices = world.choices()) {
    Choice choice = choices[random() % choices.size()];
    const bool progress = choice.kind == Choice::Kind::deliver || choice.kind == Choice::Kind::start;
    if (!progress && random() % 3 != 0) continue;
    world.take(choice);
    path.push_back(choice);
    ++report.states;
    ++report.transitions;
    if (world.violation()) break;
  }
  std::optional<std::string> violation = world.violation();
  if (!violation && path.size() == kSteps) violation = "a path without an end";
  if (!violation) {
    ++report.recoveries;
    violation = try_recovery(world, random());
  }
  if (violation) report.violation = "seed " + std::to_string(seed) + ": " + tell(*violation, path, world);
}

}  // namespace

Report exhaust(const Config& config, std::uint64_t limit_states, std::uint64_t recovery_every) {
  return Search(limit_states, recovery_every).run(config);
}

Report walk(const Config& config, std::uint64_t seed, std::uint64_t walks) {
  Report report;
  for (std::uint64_t n = 0; n < walks && !report.violation; ++n) stroll(config, seed + n, report);
  return report;
}

}  // namespace k4t::simulation
