#include "operation/suggestion.hpp"

#include <algorithm>
#include <set>

#include "operation/witnesses.hpp"

namespace k4t::operation {
namespace {

constexpr const char* witness_folder = "/var/lib/k4t/witness";
constexpr const char* record_folder = "/var/lib/k4t/records";

/// One machine, as far as what runs on it tells.
struct Machine {
  std::set<std::string> names;            ///< addresses and hosts of what is on it
  std::string id;                         ///< of the first thing on it that makes it a candidate
  int rank = 0;                           ///< in the order of choice
  std::string folder_host;                ///< how a folder on it is reached; empty: none is
  const model::Driven* server = nullptr;  ///< a DNS server on it that can hold a register
  bool here = false;                      ///< the master's own
  bool only_member = false;               ///< of a group
  bool guessed = false;                   ///< folder_host is nowhere written

  [[nodiscard]] bool is_candidate() const { return !here && (!folder_host.empty() || server != nullptr); }
};

std::string host_option(const model::Driven& thing) {
  const auto host = thing.options.find("host");
  return host != thing.options.end() && host->is_string() ? host->get<std::string>() : std::string();
}

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

/// A driver that is told of no other machine works on the master's.
bool works_here(const std::string& host) { return host.empty() || host == "local" || host.starts_with("unix://"); }

std::string url_of(const std::string& address) {
  return address.find(':') == std::string::npos ? "ssh://" + address : "ssh://[" + address + "]";
}

class Machines {
 public:
  /// The machine of a thing, which may be that of others: they share an address.
  Machine& of(const model::Driven& thing, const std::string& host) {
    std::set<std::string> names{thing.address};
    if (host.starts_with("ssh://")) names.insert(model::machine_of(host));
    const auto same = [&](const Machine& one) {
      return std::any_of(names.begin(), names.end(), [&](const auto& name) { return one.names.contains(name); });
    };
    auto found = std::find_if(all_.begin(), all_.end(), same);
    if (found == all_.end()) found = all_.insert(all_.end(), Machine{});
    found->names.merge(names);
    found->here = found->here || is_loopback(thing.address);
    return *found;
  }

  /// Of whatever holds a folder: `url` is how it is reached.
  void add_folder(const model::Driven& thing, const std::string& host, const std::string& url, int rank, bool only) {
    Machine& machine = of(thing, host);
    machine.only_member = machine.only_member || only;
    if (works_here(host)) machine.here = true;
    if (url.empty() || !machine.folder_host.empty()) return;
    machine.folder_host = url;
    machine.guessed = url != host;
    machine.rank = rank;
    machine.id = thing.name;
  }

  void add_server(const model::Driven& thing, int rank, bool only, bool can_witness) {
    Machine& machine = of(thing, {});
    machine.only_member = machine.only_member || only;
    if (!can_witness || machine.server != nullptr) return;
    machine.server = &thing;
    if (!machine.folder_host.empty()) return;
    machine.rank = rank;
    machine.id = thing.name;
  }

  [[nodiscard]] std::vector<Machine> candidates() const {
    std::vector<Machine> found;
    for (const auto& machine : all_) {
      if (machine.is_candidate()) found.push_back(machine);
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
    return found;
  }

 private:
  std::vector<Machine> all_;
};

std::vector<Machine> candidates_of(const model::Cluster& cluster,
                                   const std::function<bool(const model::Driven&)>& can_witness) {
  Machines machines;
  for (const auto& gateway : cluster.gateways) {
    const std::string host = host_option(gateway);
    machines.add_folder(gateway, host, host.starts_with("ssh://") ? host : std::string(), 0,
                        cluster.gateways.size() == 1);
  }
  for (const auto& node : cluster.nodes) {
    const std::string host = host_option(node);
    // Its runtime is reached in another way; that there is SSH as well is likely, and for the user to say.
    const std::string url = host.starts_with("ssh://") ? host : works_here(host) ? std::string() : url_of(node.address);
    machines.add_folder(node, host, url, 1, false);
  }
  for (const auto& server : cluster.dns) machines.add_server(server, 2, cluster.dns.size() == 1, can_witness(server));
  return machines.candidates();
}

std::vector<Machine> choose(const std::vector<Machine>& candidates) {
  constexpr std::size_t many = 5;
  constexpr std::size_t some = 3;
  std::vector<Machine> folders;
  for (const auto& machine : candidates) {
    if (!machine.folder_host.empty()) folders.push_back(machine);
  }
  if (folders.size() >= many) return {folders.begin(), folders.begin() + many};
  if (candidates.size() >= some) return {candidates.begin(), candidates.begin() + some};
  if (candidates.empty()) return {};
  const auto only =
      std::find_if(candidates.begin(), candidates.end(), [](const auto& machine) { return machine.only_member; });
  return {only == candidates.end() ? candidates.front() : *only};
}

std::string unique_id(const std::string& name, const std::vector<model::Witness>& taken) {
  std::string id = name;
  for (int n = 2; find_witness(taken, id) != nullptr; ++n) id = name + "-" + std::to_string(n);
  return id;
}

void note_guess(const Machine& machine, Suggestion& suggestion) {
  if (!machine.guessed) return;
  const std::string note = "k4t.toml does not say how " + machine.id +
                           " is reached over SSH: check that this works, and that it is never powered off";
  auto& notes = suggestion.notes;
  if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
}

/// On the first machine in the order that has folders, a witness or not.
void add_record_folder(const std::vector<Machine>& candidates, Suggestion& suggestion) {
  const auto keeper = std::find_if(candidates.begin(), candidates.end(),
                                   [](const auto& machine) { return !machine.folder_host.empty(); });
  if (keeper == candidates.end()) {
    suggestion.notes.emplace_back("no other machine can keep records: the master has the only copy of each change");
    return;
  }
  suggestion.records.push_back({keeper->folder_host, record_folder});
  note_guess(*keeper, suggestion);
}

std::string quoted(const std::string& text) { return Json(text).dump(); }

}  // namespace

Suggestion suggest_witnesses(const model::Cluster& cluster,
                             const std::function<bool(const model::Driven&)>& can_witness) {
  Suggestion suggestion;
  const auto candidates = candidates_of(cluster, can_witness);
  for (const auto& machine : choose(candidates)) {
    model::Witness witness{unique_id(machine.id, suggestion.witnesses), machine.folder_host, witness_folder, {}};
    if (machine.folder_host.empty()) {
      witness.host = machine.server->address;
      witness.path.clear();
      witness.dns = machine.server->name;
    }
    suggestion.witnesses.push_back(std::move(witness));
    note_guess(machine, suggestion);
  }
  if (decides_without_folders(suggestion.witnesses)) add_record_folder(candidates, suggestion);
  return suggestion;
}

std::string render_toml(const Suggestion& suggestion) {
  std::string text;
  if (suggestion.witnesses.empty()) {
    text += "# k4t.toml names no machine but this one that can hold a witness: the one in the state folder stands.\n";
  }
  for (const auto& note : suggestion.notes) text += "# " + note + ".\n";
  for (const auto& witness : suggestion.witnesses) {
    text += "[[witness]]\nid = " + quoted(witness.id) + '\n';
    if (witness.dns) {
      text += "dns = " + quoted(*witness.dns) + '\n';
    } else {
      text += "host = " + quoted(witness.host) + "\npath = " + quoted(witness.path) + '\n';
    }
  }
  for (const auto& record : suggestion.records) {
    text += "[[record]]\nhost = " + quoted(record.host) + "\npath = " + quoted(record.path) + '\n';
  }
  return text;
}

Json suggestion_json(const Suggestion& suggestion) {
  Json records = Json::array();
  for (const auto& record : suggestion.records) records.push_back({{"host", record.host}, {"path", record.path}});
  return {{"witnesses", suggestion.witnesses}, {"records", records}, {"notes", suggestion.notes}};
}

}  // namespace k4t::operation
