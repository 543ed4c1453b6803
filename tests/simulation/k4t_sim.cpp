#include <CLI/CLI.hpp>

#include <chrono>
#include <iomanip>
#include <iostream>

#include "searches.hpp"

/// Runs random schedules of the commit protocol, many of them or one with every step told.

namespace {

using namespace k4t::simulation;
using Clock = std::chrono::steady_clock;

constexpr int kClean = 0;
constexpr int kViolation = 1;
constexpr int kUsage = 2;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

struct Options {
  std::uint64_t seeds = 10000;
  std::uint64_t from = 1;
  std::optional<std::uint64_t> seed;
  bool trace = false;
  bool mistakes = false;
  std::uint64_t search_states = 0;
  std::string mistake;
};

int run_one(std::uint64_t seed, Mistake mistake, bool trace) {
  Report report;
  const auto tell = [&](const std::string& line) {
    if (trace) std::cout << line << "\n";
  };
  stroll(seed, mistake, report, tell);
  std::cout << "seed " << seed << ": " << (report.violation ? *report.violation : "no violation") << "\n";
  return report.violation ? kViolation : kClean;
}

int run_many(const Options& options, Mistake mistake) {
  const auto begin = Clock::now();
  const Report report = walk(options.from, options.seeds, mistake);
  const double seconds = seconds_since(begin);
  std::cout << report.schedules << " schedules, " << report.steps << " steps, " << report.decided
            << " versions decided, " << report.recoveries << " recoveries in " << std::fixed << std::setprecision(1)
            << seconds << " s: " << std::setprecision(0) << static_cast<double>(report.schedules) / seconds
            << " schedules/s\n";
  if (!report.violation) {
    std::cout << "no violation\n";
    return kClean;
  }
  std::cout << *report.violation << "replay: k4t-sim --seed " << report.seed << " --trace"
            << (mistake == Mistake::none ? "" : " --mistake " + options.mistake) << "\n";
  return kViolation;
}

int run_mistakes(const Options& options) {
  bool all_found = true;
  for (const auto& one : all_mistakes()) {
    const Report report = hunt(one.mistake, options.from, options.seeds);
    std::cout << std::left << std::setw(32) << one.name << std::right << std::setw(8);
    if (report.violation) {
      std::string first = report.violation->substr(0, report.violation->find('\n'));
      if (report.states == 0) first.erase(0, first.find(": ") + 2);
      std::cout << (report.states > 0 ? report.states : report.schedules)
                << (report.states > 0 ? " states     " : " schedules  ") << first << "\n";
    } else {
      std::cout << "-"
                << " not found: " << one.what << "\n";
      all_found = false;
    }
    std::cout.flush();
  }
  return all_found ? kClean : kViolation;
}

int run_searches(std::uint64_t limit_states) {
  bool clean = true;
  for (const auto& [name, config] : small_worlds()) {
    const auto begin = Clock::now();
    const Report report = exhaust(config, limit_states, 64);
    std::cout << std::left << std::setw(52) << name << std::right << std::setw(9) << report.states << " states "
              << std::setw(9) << report.steps << " transitions " << std::setw(6) << report.recoveries << " recoveries "
              << std::fixed << std::setprecision(1) << seconds_since(begin) << " s: "
              << (report.violation  ? *report.violation
                  : report.complete ? "clean"
                                    : "clean, not complete")
              << "\n";
    std::cout.flush();
    clean = clean && !report.violation;
  }
  return clean ? kClean : kViolation;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Simulates the commit protocol: the product's coordinator among simulated witnesses, participants, masters and\n"
      "networks, with every choice drawn from one seed.\n"
      "Exit codes: 0 no violation, 1 an invariant was broken (with --mistakes: a mistake was not found), 2 usage.",
      "k4t-sim");
  app.add_option("--seeds", options.seeds, "How many schedules to run")->capture_default_str();
  app.add_option("--from", options.from, "The first seed")->capture_default_str();
  auto* seed = app.add_option("--seed", options.seed, "Run this one schedule");
  app.add_flag("--trace", options.trace, "Print every step of it")->needs(seed);
  auto* mistake = app.add_option("--mistake", options.mistake, "Plant this mistake");
  app.add_flag("--mistakes", options.mistakes,
               "Plant each mistake in turn and print how many schedules, or states of\na search, it took to find it")
      ->excludes(seed)
      ->excludes(mistake);
  app.add_option("--search", options.search_states,
                 "Instead, try every interleaving of each small world, at most this many states")
      ->excludes(seed)
      ->check(CLI::PositiveNumber);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kClean : kUsage;
  }
  Mistake planted = Mistake::none;
  if (!options.mistake.empty()) {
    const auto named = mistake_named(options.mistake);
    if (!named) {
      std::cerr << "k4t-sim: no mistake is named " << options.mistake << "; there are:\n";
      for (const auto& one : all_mistakes()) std::cerr << "  " << one.name << ": " << one.what << "\n";
      return kUsage;
    }
    planted = *named;
  }
  if (options.search_states > 0) return run_searches(options.search_states);
  if (options.mistakes) return run_mistakes(options);
  if (options.seed) return run_one(*options.seed, planted, options.trace);
  return run_many(options, planted);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "k4t-sim: " << error.what() << "\n";
    return kUsage;
  }
}
