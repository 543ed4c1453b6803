#include "crash/witness_kinds.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;
using Command = std::vector<std::string>;

/// Moves a file out of the way, for who wants to bring it back.
constexpr const char* lost = "lost";

void must(CrashWorld& world, const std::string& where, const Command& command, std::initializer_list<int> exits = {0}) {
  const auto ran = world.killable.k4t(command);
  if (std::find(exits.begin(), exits.end(), ran.exit_code) == exits.end()) {
    world.problem(where + ", then " + command[0] + " " + command[1],
                  "exit " + std::to_string(ran.exit_code) + ": " + ran.out + ran.err);
  }
}

/// The id that k4t.toml gives it: drawn ones have an ending.
std::string base_of(const std::string& id) { return id.substr(0, id.find("-x")); }

std::set<std::string> bases(const std::set<std::string>& ids) {
  std::set<std::string> all;
  for (const auto& id : ids) all.insert(base_of(id));
  return all;
}

const std::string* named(const std::set<std::string>& ids, const std::string& base) {
  const auto found = std::find_if(ids.begin(), ids.end(), [&](const auto& id) { return base_of(id) == base; });
  return found == ids.end() ? nullptr : &*found;
}

/// One service, three witnesses of which every register answers.
void have_three(CrashWorld& world) {
  if (world.version > 0 && bases(world.registers().deciding()).size() == 3) return;
  world.name_witnesses({"w1", "w2", "w3"});
  world.now = {1, "voted", false};
  world.declare(world.now);
  must(world, "getting ready", {"apply", "-f", "services", "--force"});
  world.version = world.decided();
}

fs::path register_of(CrashWorld& world, const std::string& id) {
  return world.cluster().folder() / base_of(id) / ("k4t-witness-" + id + ".json");
}

void lose(CrashWorld& world, const std::string& id) {
  const fs::path file = register_of(world, id);
  fs::create_directories(world.cluster().folder() / lost);
  fs::rename(file, world.cluster().folder() / lost / file.filename());
}

/// What is served was decided by a majority of each set, and what was decided before stays.
int demand_decided(CrashWorld& world, const std::string& where) {
  const Registers registers = world.registers();
  // What was decided before the command was looked at then; its record may be gone.
  const Sight sight = world.look();
  for (const auto& gateway : sight.gateways) {
    if (gateway.version > world.version && !registers.is_decided(gateway.txn))
      world.problem(where, "a gateway serves what a set did not decide");
  }
  for (const auto& server : sight.dns) {
    if (server.version > world.version && !registers.is_decided(server.txn))
      world.problem(where, "a DNS server serves what a set did not decide");
  }
  if (registers.decided() < world.version) world.problem(where, "what was decided is not decided any more");
  return registers.decided();
}

/// The next run finishes what was voted for; then every member serves the newest version.
void recover(CrashWorld& world, const std::string& where) {
  const int before = demand_decided(world, where);
  must(world, where, {"txn", "recover"});
  world.version = demand_decided(world, where + ", then txn recover");
  if (world.version < before) world.problem(where, "a decided version was lost");
  world.demand_all(where + ", then txn recover", world.now, world.version);
}

/// A change of the set: made again where it did not come to its end, under an id that was never used.
Kind change(const std::string& name, const std::function<void(CrashWorld&)>& arrange, const Command& command,
            const std::function<bool(const std::set<std::string>& before, const std::set<std::string>& now)>& is_made) {
  Kind kind;
  kind.name = name;
  const auto before = std::make_shared<std::map<CrashWorld*, std::set<std::string>>>();
  const auto mutex = std::make_shared<std::mutex>();
  const auto former = [before, mutex](CrashWorld& world) -> std::set<std::string>& {
    const std::scoped_lock lock(*mutex);
    return (*before)[&world];
  };
  kind.arrange = [arrange, former](CrashWorld& world) {
    have_three(world);
    former(world) = world.registers().deciding();
    arrange(world);
  };
  kind.command = [command](CrashWorld&) { return command; };
  kind.after = [](const CrashWorld& world) { return world.now; };
  kind.aftermath = [command, is_made, former](CrashWorld& world, const std::string& where, std::size_t number) {
    recover(world, where);
    bool made = is_made(former(world), world.registers().deciding());
    if (made || number % 2 == 0) return made;
    const auto used = world.registers().ids();
    const std::string again = where + ", then again";
    must(world, again, command);
    world.version = demand_decided(world, again);
    world.demand_all(again, world.now, world.version);
    const auto now = world.registers().deciding();
    made = is_made(former(world), now);
    if (!made) world.problem(again, "the witnesses are not as they were to be");
    const auto* joined = named(now, "w3");
    if (joined == nullptr || used.contains(*joined)) world.problem(again, "an id was used again");
    return made;
  };
  return kind;
}

Kind replacing() {
  return change(
      "witness replace",
      [](CrashWorld& world) {
        const auto deciding = world.registers().deciding();
        const auto* third = named(deciding, "w3");
        if (fs::exists(register_of(world, *third))) lose(world, *third);
      },
      {"witness", "replace", "w3"},
      [](const auto& before, const auto& now) {
        const auto* old = named(before, "w3");
        const auto* third = named(now, "w3");
        return third != nullptr && (old == nullptr || *third != *old);
      });
}

Kind adding() {
  return change(
      "witness add",
      [](CrashWorld& world) {
        world.name_witnesses({"w1", "w2"});
        must(world, "getting ready", {"witness", "rm", "w3"});
        world.name_witnesses({"w1", "w2", "w3"});
        world.version = world.decided();
      },
      {"witness", "add", "w3"}, [](const auto& /*before*/, const auto& now) { return named(now, "w3") != nullptr; });
}

const Command& force_command() {
  static const Command command{"txn", "recover", "--force=demo", "--why", "two disks are gone"};
  return command;
}

/// Most registers are gone, and one DNS server does not answer. What was before is kept, for who comes back with it.
void lose_majority(CrashWorld& world) {
  have_three(world);
  const fs::path folder = world.cluster().folder();
  fs::remove_all(folder / lost);
  fs::remove_all(folder / "old");
  fs::copy(folder / "state", folder / "old", fs::copy_options::recursive);
  for (const auto& id : world.registers().deciding()) {
    if (base_of(id) != "w1") lose(world, id);
  }
  world.cluster().stop_member("ns2");
}

/// A master of the old history with the old majority, and without a witness that points to the new one, commits
/// nothing.
void demand_fenced(CrashWorld& world, const std::string& where) {
  const fs::path folder = world.cluster().folder();
  const auto deciding = world.registers().deciding();
  for (const auto& id : world.registers().ids()) {
    if (!deciding.contains(id)) fs::remove(register_of(world, id));
  }
  std::vector<fs::path> back;
  for (const auto& entry : fs::directory_iterator(folder / lost)) {
    const std::string id = entry.path().stem().string().substr(std::string("k4t-witness-").size());
    back.push_back(folder / base_of(id) / entry.path().filename());
    fs::rename(entry.path(), back.back());
  }
  world.cluster().edit_config("state = \"state\"", "state = \"old\"");
  world.declare({1, "fenced", false});
  const auto old = world.killable.k4t({"apply", "-f", "services", "--force", "--take-over"});
  if (old.exit_code != 1 || old.err.find("which the witnesses do not know") == std::string::npos) {
    world.problem(where, "a master of the old history was not stopped by what is served: exit " +
                             std::to_string(old.exit_code) + ": " + old.out + old.err);
  }
  world.cluster().edit_config("state = \"old\"", "state = \"state\"");
  world.declare(world.now);
  for (const auto& file : back) fs::remove(file);
  world.demand_all(where + ", a master of the old history", world.now, world.version);
}

bool after_force(CrashWorld& world, const std::string& where, std::size_t number) {
  const int begun = demand_decided(world, where);
  const bool decided = begun > world.version;
  const auto again = world.killable.k4t(force_command());
  const std::string then = where + ", then --force again";
  const bool refused = again.exit_code == 1 && again.err.find("nothing is to be forced") != std::string::npos;
  if (refused && !decided) world.problem(then, "refused, and nothing was forced: " + again.err);
  if (!refused && again.exit_code != 0) world.problem(then, again.out + again.err);
  if (refused) {
    must(world, then, {"txn", "recover"}, {0, 3});
    const auto absent = world.look().dns[1];
    if (absent.version != world.version) world.problem(then, "a member that did not answer was overwritten unasked");
    must(world, then, {"sync", "--overwrite", "ns2"});
  }
  const int former = world.version;
  world.version = demand_decided(world, then);
  if (world.version <= former || world.version < begun) world.problem(then, "no new history was begun");
  world.demand_all(then, world.now, world.version);
  if (number % 8 == 0) demand_fenced(world, then);
  return decided;
}

Kind forcing() {
  Kind kind;
  kind.name = "forced history";
  kind.arrange = lose_majority;
  kind.command = [](CrashWorld&) { return force_command(); };
  kind.after = [](const CrashWorld& world) { return world.now; };
  kind.aftermath = after_force;
  kind.heal = [](CrashWorld& world) { world.cluster().start_member("ns2"); };
  kind.exit_code = 3;
  return kind;
}

}  // namespace

std::vector<Kind> witness_kinds() { return {replacing(), adding(), forcing()}; }

}  // namespace k4t::testing
