#include "config.hpp"

#include <algorithm>

namespace k4t::simulation {
namespace {

int draw(std::mt19937_64& random, int low, int high) {
  return low + static_cast<int>(random() % static_cast<std::uint64_t>(high - low + 1));
}

bool one_in(std::mt19937_64& random, std::uint64_t n) { return random() % n == 0; }

/// Where registers get lost, every set can do without one.
int draw_witnesses(std::mt19937_64& random, bool losing) {
  static constexpr int kNumbers[] = {1, 2, 4, 3, 3, 3, 3, 5};
  return kNumbers[losing ? 3 + random() % 5 : random() % 8];
}

/// Another set: some that are there, some new ones, all numbers at most kHighest.
std::vector<int> draw_set(std::mt19937_64& random, bool losing) {
  constexpr int kHighest = 8;
  std::vector<int> all;
  for (int n = 1; n <= kHighest; ++n) all.push_back(n);
  for (std::size_t at = all.size() - 1; at > 0; --at) std::swap(all[at], all[random() % (at + 1)]);
  all.resize(static_cast<std::size_t>(draw_witnesses(random, losing)));
  std::sort(all.begin(), all.end());
  return all;
}

void draw_wishes(std::mt19937_64& random, Config& config) {
  config.runs = draw(random, 2, 5);
  config.proposals = draw(random, 1, 3);
  const bool changes = one_in(random, 2);
  for (int n = changes ? draw(random, 1, 3) : 0; n > 0; --n) config.sets.push_back(draw_set(random, config.wipes > 0));
  for (int n = 0; n < config.runs * config.proposals; ++n) {
    config.set_plan.push_back(changes && one_in(random, 2) ? draw(random, 1, static_cast<int>(config.sets.size())) : 0);
    config.member_plan.push_back(one_in(random, 6) ? draw(random, 1, 2) : 0);
  }
}

void draw_faults(std::mt19937_64& random, Config& config) {
  // Most paths combine a few kinds of fault; one with all of them at once seldom gets far.
  const auto some = [&](int high) { return one_in(random, 2) ? draw(random, 1, high) : 0; };
  config.faults = draw(random, 0, 12);
  config.crashes = draw(random, 0, config.runs);
  config.cuts = some(4);
  config.replacements = some(4);
  config.store_faults = some(3);
  config.forces = one_in(random, 4) ? draw(random, 1, 2) : 0;
  config.forced_set = draw(random, 0, 1) == 0 ? 1 : 3;
  config.drifts = one_in(random, 3) ? draw(random, 1, 3) : 0;
  config.refusals = one_in(random, 3);
}

}  // namespace

Config draw_config(std::mt19937_64& random, Mistake mistake) {
  Config config;
  config.mistake = mistake;
  config.wipes = one_in(random, 3) ? draw(random, 1, 2) : 0;
  config.witnesses = draw_witnesses(random, config.wipes > 0);
  config.gateways = draw(random, 0, 2);
  config.dns = draw(random, 1, 2);
  config.hosts = draw(random, 1, 3);
  config.chunks = draw(random, 1, 2);
  config.fresh = one_in(random, 4);
  config.ordered = one_in(random, 2);
  config.availability = one_in(random, 3) ? model::Availability::all : model::Availability::one;
  draw_wishes(random, config);
  draw_faults(random, config);
  config.everything_travels = true;
  config.clock = true;
  config.stores = !one_in(random, 3);
  config.courtesy = one_in(random, 4);
  // Drawn apart, so that it costs no other draw its place.
  std::mt19937_64 apart = random;
  config.in_dns = one_in(apart, 3) ? draw(apart, 1, config.witnesses) : 0;
  return config;
}

}  // namespace k4t::simulation
