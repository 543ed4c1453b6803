#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "crash/killable.hpp"
#include "crash/registers.hpp"
#include "support/served.hpp"

/// What the crash tests know of a cluster, and what they demand of it between a kill and the next command, and after.

namespace k4t::testing {

/// What is wanted of the cluster, and so what a version of it holds.
struct Want {
  unsigned replicas = 0;  ///< of "web"; 0: there is no service at all
  std::string greeting;   ///< of "web", also in its TXT record
  bool side = false;      ///< the service "side", which answers "side", is there
};

/// One look at all servers.
struct Sight {
  GatewaySight gateways[2];
  DnsSight dns[2];
};

class CrashWorld {
 public:
  explicit CrashWorld(std::uint16_t first_port) : killable(first_port), served_(killable.cluster()) {}

  Killable killable;
  Want now;         ///< what is decided
  int version = 0;  ///< its version
  std::vector<std::string> problems;

  RealCluster& cluster() { return killable.cluster(); }
  Sight look();

  /// Makes `want` so by undisturbed commands, unless it is so already.
  void reach(const Want& want);
  /// Writes the service files for `want`, without running anything.
  void declare(const Want& want);
  /// As on the first day: no state, no register, no instance.
  void blank();

  /// Each server by itself serves the one state or the other, wholly, and sends traffic to nothing that is gone.
  /// `stale`: members that have been away, whose routes may lead nowhere. A reload that is under way may come to rest
  /// first.
  void demand_whole(const std::string& where, const Want& before, const Want& after,
                    const std::set<std::string>& stale);
  /// All servers serve `want` at that version, with as many instances, and nothing is left over.
  void demand_all(const std::string& where, const Want& want, int at_version);

  /// Gives k4t.toml these witnesses, each in a folder of that name; none: the default one.
  void name_witnesses(const std::vector<std::string>& ids);
  /// Of all witnesses, those among them that were moved to the folder "lost".
  Registers registers();
  int decided() { return registers().decided(); }
  void problem(const std::string& where, const std::string& what) { problems.push_back(where + ": " + what); }

 private:
  void find_broken(const std::string& where, const Want& before, const Want& after, const std::set<std::string>& stale);
  void demand_gateway(const std::string& where, const GatewaySight& sight, const Want& want);
  Served served_;
  std::map<int, std::string> txns_;  ///< of all versions that were ever served by everybody
};

/// One kind of run that is killed at each of its moments.
struct Kind {
  std::string name;
  std::function<void(CrashWorld&)> arrange;                      ///< up to where the command begins
  std::function<std::vector<std::string>(CrashWorld&)> command;  ///< to be killed
  std::function<Want(const CrashWorld&)> after;                  ///< what it leads to
  std::vector<std::string> next = {"status"};                    ///< the command that comes after the kill
  std::set<std::string> stale = {};                              ///< see demand_whole
  bool same_version = false;                                   ///< it decides nothing: it brings members to the latest
  int exit_code = 0;                                           ///< of the command, undisturbed
  std::function<void(CrashWorld&)> heal = [](CrashWorld&) {};  ///< what people do before they look
  /// What comes after the kill instead of `next`, and what is demanded of it; true: the command's change was made.
  std::function<bool(CrashWorld&, const std::string& where, std::size_t number)> aftermath = {};
};

}  // namespace k4t::testing
