#include "crash/crash_world.hpp"

#include <filesystem>
#include <fstream>

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;

const std::string domain = RealCluster::domain;

/// What a service answers at the gateways while it is there; any error while it is not.
bool answers(const std::string& word, bool there, const std::string& greeting) {
  return there ? word == greeting : word.starts_with("status ");
}

std::set<std::string> records_of(const Want& want, const RealCluster& cluster) {
  std::set<std::string> records;
  const std::string http = std::to_string(cluster.http_port());
  const auto add = [&](const std::string& name, const std::string& text) {
    const std::string full = name + "." + domain;
    for (std::size_t gateway = 0; gateway < 2; ++gateway) {
      records.insert(full + " A " + RealCluster::gateway_address(gateway));
    }
    records.insert("_http._tcp." + full + " SRV 0 0 " + http + " " + full + ".");
    if (!text.empty()) records.insert(full + " TXT \"" + text + "\"");
  };
  if (want.replicas > 0) {
    add("web", want.greeting);
    const std::string web = "web." + domain;
    records.insert("_http._tcp." + web + " SRV 0 0 " + std::to_string(cluster.tcp_port()) + " " + web + ".");
  }
  if (want.side) add("side", "");
  return records;
}

std::string shown(const std::set<std::string>& records) {
  std::string text;
  for (const auto& record : records) text += "\n    " + record;
  return text;
}

std::string service_text(const std::string& name, unsigned replicas, const std::string& greeting, bool full) {
  std::string text = "[[service]]\nname = \"" + name +
                     "\"\nimage = \"app\"\ncommand = [\"http\"]\nreplicas = " + std::to_string(replicas) +
                     "\nnetwork = \"host\"\nenv = { GREETING = \"" + greeting +
                     "\" }\nstop_timeout = \"2s\"\ndrain_timeout = \"5s\"\n";
  if (full) text += "txt = [\"" + greeting + "\"]\n";
  text +=
      "[[service.port]]\nname = \"http\"\n[service.health]\nhttp = \"/healthz\"\ninterval = \"500ms\"\nrise = 1\n"
      "deadline = \"20s\"\n[[service.expose]]\nlisten = @http@\n";
  if (full) text += "[[service.expose]]\nprotocol = \"tcp\"\nlisten = @tcp@\n";
  return text;
}

std::vector<std::string> apply_command() { return {"apply", "-f", "services", "--force"}; }

}  // namespace

Sight CrashWorld::look() { return {{served_.nginx(), served_.haproxy()}, {served_.dns(0), served_.dns(1)}}; }

void CrashWorld::declare(const Want& want) {
  want.replicas > 0 ? cluster().service("web", service_text("web", want.replicas, want.greeting, true))
                    : cluster().remove_service_file("web");
  want.side ? cluster().service("side", service_text("side", 1, "side", false)) : cluster().remove_service_file("side");
}

void CrashWorld::reach(const Want& want) {
  const bool same = want.replicas == now.replicas && want.greeting == now.greeting && want.side == now.side;
  if (same && version > 0) return;
  // What a file no longer names stays until it is deleted.
  if (now.side && !want.side && killable.k4t({"delete", "side", "--yes"}).exit_code != 0) {
    problem("getting ready", "delete fails");
  }
  declare(want);
  const auto applied = killable.k4t(apply_command());
  if (applied.exit_code != 0) problem("getting ready", applied.out + applied.err);
  now = want;
  version = decided();
}

void CrashWorld::blank() {
  std::vector<std::string> gone{"delete", "--yes"};
  if (now.replicas > 0) gone.emplace_back("web");
  if (now.side) gone.emplace_back("side");
  if (gone.size() > 2 && killable.k4t(gone).exit_code != 0) problem("getting blank", "delete fails");
  fs::remove_all(cluster().folder() / "state");
  fs::remove_all(cluster().nginx().folder());
  cluster().nginx().restart();
  fs::remove_all(cluster().haproxy().file().string() + ".k4t");
  std::ofstream(cluster().haproxy().file(), std::ios::trunc).flush();
  cluster().haproxy().restart();
  for (auto* server : {&cluster().ns1(), &cluster().ns2()}) {
    server->update_by_hand({"update delete _k4t." + domain, "update delete _k4t-try." + domain});
  }
  name_witnesses({});
  for (const char* folder : {"w1", "w2", "w3"}) fs::remove_all(cluster().folder() / folder);
  txns_.clear();
  now = {};
  version = 0;
}

void CrashWorld::name_witnesses(const std::vector<std::string>& ids) {
  std::string text = Scratch::read(cluster().config());
  if (const auto at = text.find("\n[[witness]]"); at != std::string::npos) text.erase(at);
  for (const auto& id : ids) text += "\n[[witness]]\nid = \"" + id + "\"\npath = \"" + id + "\"\n";
  std::ofstream(cluster().config()) << text;
}

Registers CrashWorld::registers() {
  const fs::path folder = cluster().folder();
  return Registers({folder / "state" / "witness", folder / "w1", folder / "w2", folder / "w3", folder / "lost"});
}

void CrashWorld::demand_gateway(const std::string& where, const GatewaySight& sight, const Want& want) {
  const bool web = want.replicas > 0;
  if (!answers(sight.http, web, want.greeting) || !answers(sight.tcp, web, want.greeting) ||
      !answers(sight.side, want.side, "side")) {
    problem(where, "version " + std::to_string(sight.version) + " is served as http '" + sight.http + "', tcp '" +
                       sight.tcp + "', side '" + sight.side + "' instead of '" + want.greeting + "'");
  }
  const auto expected = want.replicas * 2 + (want.side ? 1 : 0);
  if (sight.endpoints.size() != expected) {
    problem(where, std::to_string(sight.endpoints.size()) + " endpoints instead of " + std::to_string(expected));
  }
}

void CrashWorld::demand_whole(const std::string& where, const Want& before, const Want& after,
                              const std::set<std::string>& stale) {
  const auto known = problems.size();
  eventually(
      [&] {
        problems.resize(known);
        find_broken(where, before, after, stale);
        return problems.size() == known;
      },
      std::chrono::seconds(5));
}

void CrashWorld::find_broken(const std::string& where, const Want& before, const Want& after,
                             const std::set<std::string>& stale) {
  const Sight sight = look();
  for (std::size_t index = 0; index < 2; ++index) {
    const auto& gateway = sight.gateways[index];
    const std::string name = "gw" + std::to_string(index + 1);
    const std::string at = where + ", " + name;
    if (gateway.version < 0) problem(at, "does not answer");
    if (!stale.contains(name) && gateway.version > 0) {
      for (const auto& [address, port] : gateway.endpoints) {
        if (!accepts(address, port)) problem(at, "a route leads to port " + std::to_string(port) + ", which is dead");
      }
      // Changing servers one by one is not atomic, but nobody is sent anywhere else than before or after.
      const bool as_before =
          gateway.half ? answers(gateway.http, before.replicas > 0, before.greeting) : gateway.version == version;
      if (gateway.half && !as_before && !answers(gateway.http, after.replicas > 0, after.greeting)) {
        problem(at, "in the middle of a change it answers '" + gateway.http + "'");
      }
      if (!gateway.half) demand_gateway(at, gateway, as_before ? before : after);
    }
    const auto& dns = sight.dns[index];
    const std::string server = where + ", ns" + std::to_string(index + 1);
    if (dns.version < 0) problem(server, "does not answer");
    const auto expected = records_of(dns.version == version ? before : after, cluster());
    const bool absent = dns.version == 0 && dns.records.empty();
    if (!stale.contains("ns" + std::to_string(index + 1)) && !absent && dns.records != expected) {
      problem(server, "version " + std::to_string(dns.version) + " holds" + shown(dns.records));
    }
  }
}

void CrashWorld::demand_all(const std::string& where, const Want& want, int at_version) {
  const Sight sight = look();
  std::set<std::string> txns;
  for (std::size_t index = 0; index < 2; ++index) {
    const std::string number = std::to_string(index + 1);
    const auto& gateway = sight.gateways[index];
    if (gateway.version != at_version) {
      problem(where + ", gw" + number,
              "serves version " + std::to_string(gateway.version) + " instead of " + std::to_string(at_version));
    } else if (at_version > 0) {
      demand_gateway(where + ", gw" + number, gateway, want);
    }
    const auto& dns = sight.dns[index];
    if (dns.version != at_version || dns.records != records_of(want, cluster())) {
      problem(where + ", ns" + number, "version " + std::to_string(dns.version) + " instead of " +
                                           std::to_string(at_version) + " holds" + shown(dns.records));
    }
    txns.insert({gateway.txn, dns.txn});
  }
  if (txns.size() != 1) problem(where, "the members hold different histories");
  if (txns_.emplace(at_version, *txns.begin()).first->second != *txns.begin()) {
    problem(where, "version " + std::to_string(at_version) + " has another content than before");
  }
  const auto instances = served_.instances();
  if (instances.size() != want.replicas + (want.side ? 1 : 0)) {
    problem(where, std::to_string(instances.size()) + " instances are there");
  }
  for (const auto& left : served_.leftovers()) {
    // A copy of what is served goes with the next change; nobody is asked anything where nothing is to be done.
    if (left.find(*txns.begin()) == std::string::npos || txns.begin()->empty()) problem(where, "left over: " + left);
  }
}

}  // namespace k4t::testing
