#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "mistake.hpp"
#include "model/cluster.hpp"

namespace k4t::simulation {

/// What is simulated: who there is, what the runs want, and how much may go wrong on one path.
struct Config {
  // Who there is.
  int witnesses = 3;  ///< in the first set
  int in_dns = 0;     ///< of the first set, the last ones: registers without records, which folders keep for them
  int gateways = 1;
  int dns = 1;
  int hosts = 1;        ///< machines on which a master may run, each with its own store
  int chunks = 1;       ///< messages of one commit at a DNS server: 1 or 2
  bool fresh = false;   ///< no register was made yet
  bool ordered = true;  ///< later runs have higher ids
  model::Availability availability = model::Availability::one;

  // What the runs want.
  int runs = 2;
  int proposals = 1;  ///< per run
  /// Further sets of witnesses by their numbers, and which of them (1 is the first of these; 0: no change) the n-th
  /// proposal of all runs asks for.
  std::vector<std::vector<int>> sets;
  std::vector<int> set_plan;
  std::vector<int> member_plan;  ///< which gateway (from 1; 0: none) the n-th proposal leaves out

  // What may go wrong.
  int faults = 2;         ///< lost, delayed and repeated messages, failed activations, refusals, passed deadlines
  int crashes = 1;        ///< runs that die
  int wipes = 0;          ///< registers that are lost
  int cuts = 0;           ///< power cuts at witnesses and participants
  int replacements = 0;   ///< participants that leave, come back blank, or with an older state
  int store_faults = 0;   ///< masters' stores that are lost, rewound or cloned
  int forces = 0;         ///< users who begin a new history because most witnesses do not answer them
  int drifts = 0;         ///< contents that are changed by hand
  int forced_set = 1;     ///< witnesses of a new history
  bool refusals = false;  ///< a participant's checker may say INVALID

  // How finely it is simulated. A search leaves these out, to spend its states on what can go wrong.
  bool everything_travels = false;  ///< reading, tidying up and notes are messages too
  bool clock = false;               ///< deadlines pass for all that wait
  bool stores = false;              ///< runs begin with what their host's store knows, instead of nothing
  bool courtesy = false;            ///< another host's open claim is BUSY
  bool hashed = false;              ///< World::fingerprint() will be asked for

  Mistake mistake = Mistake::none;

  /// Whether a mistake is planted.
  [[nodiscard]] bool has(Mistake which) const { return mistake == which; }
};

/// A random one with everything that can go wrong.
Config draw_config(std::mt19937_64& random, Mistake mistake);

}  // namespace k4t::simulation
