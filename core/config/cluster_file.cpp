#include "config/cluster_file.hpp"

#include <algorithm>
#include <filesystem>

#include "config/cluster_copies.hpp"
#include "config/table.hpp"
#include "model/subnet.hpp"

namespace k4t::config {
namespace {

constexpr std::size_t node_limit = 10'000;
constexpr std::size_t member_limit = 16;
constexpr std::size_t witness_limit = 9;
constexpr std::size_t record_folder_limit = 4;
constexpr std::size_t backup_limit = 16;

struct AvailabilityKeys {
  model::Availability gateways = model::Cluster{}.gateway_availability;
  model::Availability dns = model::Cluster{}.dns_availability;
};

struct ClusterKeys {
  std::string name;
  std::string domain;
  std::string state = "/var/lib/k4t";
  std::uint32_t dns_ttl_s = model::Cluster{}.dns_ttl_s;
  std::optional<model::Reach> reach;
  std::uint32_t removal_limit_percent = model::Cluster{}.removal_limit_percent;
  bool accept_single_copy = model::Cluster{}.accept_single_copy;
  AvailabilityKeys availability;
  CopyKeyKeys backup;
};

struct PluginKeys {
  std::vector<std::string> folders;
};

struct MasterKeys {
  std::vector<std::string> power_off = model::Cluster{}.power_off;
};

struct ClusterFileKeys {
  ClusterKeys cluster;
  MasterKeys master;
  transport::SshOptions ssh;
  PluginKeys plugins;
  std::vector<model::Node> nodes;
  std::vector<model::Driven> gateways;
  std::vector<model::Driven> dns;
  std::vector<model::Witness> witnesses;
  std::vector<model::RecordFolder> records;
  std::vector<model::BackupPlace> backups;
};

const Table<AvailabilityKeys>& availability_table() {
  static const auto table = [] {
    const std::string_view meaning =
        "Of which members of the group a change needs the yes before it is decided, any one or all";
    Table<AvailabilityKeys> keys("[cluster.availability]", "What happens while a gateway or DNS server is down");
    keys.key("gateways", choice<model::Availability>(), Need::optional, &AvailabilityKeys::gateways, meaning)
        .key("dns", choice<model::Availability>(), Need::optional, &AvailabilityKeys::dns, meaning);
    return keys;
  }();
  return table;
}

const Table<ClusterKeys>& cluster_table() {
  static const auto table = [] {
    Table<ClusterKeys> keys("[cluster]", "The cluster as a whole");
    keys.key("name", name(cluster_name_limit), Need::required, &ClusterKeys::name,
             "Names the cluster on every machine; it cannot change later")
        .key("domain", domain(domain_limit), Need::required, &ClusterKeys::domain,
             "The DNS suffix that the cluster owns wholly: services are <service>.<domain>")
        .key("state", file_path(), Need::optional, &ClusterKeys::state, "Folder of the master's metadata and redo log")
        .key("dns_ttl", seconds(0, day_s), Need::optional, &ClusterKeys::dns_ttl_s,
             "How long resolvers may keep an answer")
        .row(
            "reach", choice<model::Reach>(), Need::absent, Json(),
            [](ClusterKeys& cluster, model::Reach reach) { cluster.reach = reach; },
            "Where DNS leads those who ask for a service that does not say; without it to the gateways where there are "
            "any")
        .key("removal_limit", percent(), Need::optional, &ClusterKeys::removal_limit_percent,
             "A plan that removes a greater share of the instances needs --force")
        .key("accept_single_copy", yes_or_no(), Need::optional, &ClusterKeys::accept_single_copy,
             "Whether a change counts as done although its record is on no machine besides the master")
        .key("availability", availability_table().form(), Need::absent, &ClusterKeys::availability,
             "Whether one member of a pair suffices")
        .key("backup", copy_key_table().form(), Need::absent, &ClusterKeys::backup,
             "How copies of the metadata are encrypted");
    return keys;
  }();
  return table;
}

const Table<MasterKeys>& master_table() {
  static const auto table = [] {
    Table<MasterKeys> keys("[master]", "The machine that k4t runs on");
    keys.key("power_off", list_of(free_text(Lines::one, 4096), 1, 32), Need::optional, &MasterKeys::power_off,
             "What `k4t master run --then poweroff` runs in the end: a program and its arguments; no shell reads it");
    return keys;
  }();
  return table;
}

const Table<PluginKeys>& plugins_table() {
  static const auto table = [] {
    Table<PluginKeys> keys("[plugins]", "Where drivers are found");
    keys.key("folders", list_of(file_path(), 1, 16), Need::absent, &PluginKeys::folders,
             "Folders with plugins, searched in this order; without it the one that k4t was installed with");
    return keys;
  }();
  return table;
}

/// What nodes, gateways and dns servers have in common.
template <class T>
void add_driven_keys(Table<T>& keys, std::string_view address_meaning) {
  keys.key(
          "name", name(machine_name_limit), Need::required, [](T& thing) -> std::string& { return thing.name; },
          "Unique among its kind")
      .key(
          "driver", name(machine_name_limit), Need::required, [](T& thing) -> std::string& { return thing.driver; },
          "The driver's name, as `k4t plugin ls` shows it")
      .key(
          "address", address(), Need::required, [](T& thing) -> std::string& { return thing.address; }, address_meaning)
      .key(
          "options", any_table(), Need::absent, [](T& thing) -> Json& { return thing.options; },
          "The driver's own options, as `k4t plugin show` tells them");
}

const Table<model::Node>& node_table() {
  static const auto table = [] {
    Table<model::Node> keys("[[node]]", "A machine with a container runtime");
    add_driven_keys(keys, "Where gateways and other instances reach the instances of this node");
    const model::Node defaults;
    const PortRange range{defaults.first_port, defaults.last_port};
    const auto store_ports = [](model::Node& node, const PortRange& ports) {
      node.first_port = ports.first;
      node.last_port = ports.last;
    };
    keys.row("ports", port_range(), Need::optional, port_range().show(range), store_ports,
             "The node's ports that k4t may give to instances")
        .key("labels", text_map("a label", parse_label_key, free_text(Lines::one, 255)), Need::absent,
             &model::Node::labels, "What services may ask for with node_labels")
        .key("cpu", cpu(), Need::absent, &model::Node::cpu_millis,
             "Offered to instances; without it all that the machine has")
        .key("memory", memory(), Need::absent, &model::Node::memory_bytes,
             "Offered to instances; without it all that the machine has")
        .key("subnet", subnet(), Need::absent, &model::Node::subnet,
             "Routed to the node; instances get addresses of their own from it instead of the node's ports")
        .key("public_address", address(), Need::absent, &model::Node::public_address,
             "What DNS answers instead of 'address' where it leads to instances, behind a cloud's NAT")
        .row(
            "public_ports", port_range(), Need::absent, Json(),
            [](model::Node& node, const PortRange& ports) { node.first_public_port = ports.first; },
            "The public address's ports that lead to 'ports', one by one; without it the same numbers");
    return keys;
  }();
  return table;
}

const Table<model::Driven>& gateway_table() {
  static const auto table = [] {
    Table<model::Driven> keys("[[gateway]]", "A load balancer for traffic between services and from outside");
    add_driven_keys(keys, "Where it accepts connections; DNS answers with it");
    return keys;
  }();
  return table;
}

const Table<model::Driven>& dns_table() {
  static const auto table = [] {
    Table<model::Driven> keys("[[dns]]", "A DNS server that serves the cluster's domain");
    add_driven_keys(keys, "Where it answers queries and takes updates");
    return keys;
  }();
  return table;
}

const Table<model::Witness>& witness_table() {
  static const auto table = [] {
    Table<model::Witness> keys(
        "[[witness]]",
        "A small register that decides which change wins; use one, three or five, each on a machine of its own");
    keys.key("id", name(machine_name_limit), Need::required, &model::Witness::id,
             "Unique; a witness whose folder was lost returns under a new id")
        .key("host", machine(), Need::optional, &model::Witness::host, "The machine that holds the folder")
        .key("path", file_path(), Need::absent, &model::Witness::path,
             "The folder; absolute where the machine is not this one")
        .row(
            "dns", name(machine_name_limit), Need::absent, Json(),
            [](model::Witness& witness, std::string server) { witness.dns = std::move(server); },
            "Instead of a folder: the [[dns]] server that holds the register, which keeps no records");
    return keys;
  }();
  return table;
}

const Table<model::RecordFolder>& record_table() {
  static const auto table = [] {
    Table<model::RecordFolder> keys(
        "[[record]]",
        "A folder that gets a copy of each change's record; needed where DNS servers can decide without a folder");
    keys.key("host", machine(), Need::optional, &model::RecordFolder::host, "The machine that holds the folder")
        .key("path", file_path(), Need::required, &model::RecordFolder::path,
             "The folder; absolute where the machine is not this one");
    return keys;
  }();
  return table;
}

Form<std::string> ssh_machine() {
  const auto parse = [](std::string_view text) -> Result<std::string> {
    if (text == "local") return Error{Status::invalid_argument, "it is this machine", {}};
    return parse_machine(text);
  };
  return text_form<std::string>("\"ssh://[user@]host[:port]\"", Json{{"pattern", "^ssh://"}}, parse,
                                [](const std::string& text) { return Json(text); });
}

const Table<transport::SshOptions>& ssh_table() {
  static const auto table = [] {
    using transport::SshOptions;
    constexpr std::uint32_t hour_ms = 3'600'000;
    Table<SshOptions> keys("[ssh]", "How machines written as ssh://… are reached; ~/.ssh/config is not read");
    keys.key(
            "identity", list_of(file_path(), 1, 16), Need::absent, &SshOptions::identity,
            "Private keys, tried in this order; without it what ssh-agent offers, then the user's id_ed25519, id_ecdsa "
            "and id_rsa")
        .key("passphrase_file", file_path(), Need::absent, &SshOptions::passphrase_file,
             "A file whose first line decrypts the keys")
        .key("known_hosts", file_path(), Need::absent, &SshOptions::known_hosts,
             "The only file whose host keys are believed; without it the user's and the system's")
        .key("jump", ssh_machine(), Need::absent, &SshOptions::jump, "A machine to go through, with the same keys")
        .key("connect_timeout", milliseconds(1, hour_ms), Need::optional, &SshOptions::connect_timeout_ms,
             "For connecting and authentication together")
        .key("keep_alive", milliseconds(1, hour_ms), Need::optional, &SshOptions::keep_alive_ms,
             "A machine that is silent so long is asked, and given up when it stays silent as long again");
    return keys;
  }();
  return table;
}

const Table<ClusterFileKeys>& cluster_file_table() {
  static const auto table = [] {
    Table<ClusterFileKeys> keys("k4t.toml", "A k4t cluster");
    keys.key("cluster", cluster_table().form(), Need::required, &ClusterFileKeys::cluster, "The cluster as a whole")
        .key("master", master_table().form(), Need::absent, &ClusterFileKeys::master, "The machine that k4t runs on")
        .key("plugins", plugins_table().form(), Need::absent, &ClusterFileKeys::plugins, "Where drivers are found")
        .key("ssh", ssh_table().form(), Need::absent, &ClusterFileKeys::ssh, "How machines are reached over SSH")
        .key("node", node_table().forms(1, node_limit), Need::required, &ClusterFileKeys::nodes, "The machines")
        .key("gateway", gateway_table().forms(0, member_limit), Need::absent, &ClusterFileKeys::gateways,
             "The gateways")
        .key("dns", dns_table().forms(1, member_limit), Need::required, &ClusterFileKeys::dns, "The DNS servers")
        .key("witness", witness_table().forms(0, witness_limit), Need::absent, &ClusterFileKeys::witnesses,
             "The witnesses; without any, one in the state folder, which is then the only copy")
        .key("record", record_table().forms(0, record_folder_limit), Need::absent, &ClusterFileKeys::records,
             "Further copies of the redo log's records")
        .key("backup", copies_table().forms(0, backup_limit), Need::absent, &ClusterFileKeys::backups,
             "Where copies of the master's metadata are kept");
    return keys;
  }();
  return table;
}

std::string place_text(const Value& value) {
  return "line " + std::to_string(value.at.line) + ", column " + std::to_string(value.at.column);
}

/// Reports items of the list whose `key` repeats that of an earlier one.
void check_unique(const Value& root, std::string_view list_name, std::string_view key, Report& report) {
  const Value* list = root.find(list_name);
  if (list == nullptr) return;
  std::map<std::string, const Value*> first;
  for (const auto& item : list->items) {
    const Value* value = item.find(key);
    if (value == nullptr || !report.sound(*value)) continue;
    const auto [earlier, is_new] = first.emplace(value->text, value);
    if (is_new) continue;
    report.error(*value, id::name_used_twice,
                 std::string(list_name) + ' ' + in_quotes(value->text) + " is already declared at " +
                     place_text(*earlier->second),
                 "give each its own '" + std::string(key) + "'");
  }
}

/// What a node's table says of how its instances are reached must fit together.
void check_node_reach(const Value& item, const model::Node& node, Report& report) {
  const Value* ports = item.find("public_ports");
  const Value* address = item.find("public_address");
  const Value* subnet = item.find("subnet");
  if (subnet != nullptr && address != nullptr) {
    report.error_at_key(*address, id::keys_exclude, "'subnet' and 'public_address' exclude each other",
                        "remove one of them: instances have addresses of their own, or are reached at the node's");
  }
  if (ports == nullptr) return;
  if (address == nullptr) {
    report.error_at_key(*ports, id::missing_key, "'public_ports' without 'public_address'",
                        "add the address whose ports they are");
    return;
  }
  const auto range = parse_port_range(ports->text);
  if (!range || range->last - range->first == node.last_port - node.first_port) return;
  report.error(*ports, id::impossible_value,
               "'public_ports' are " + std::to_string(range->last - range->first + 1) + " and 'ports' are " +
                   std::to_string(node.last_port - node.first_port + 1),
               "give as many: each leads to one of the node's");
}

void check_subnets(const Value& root, const std::vector<model::Node>& nodes, Report& report) {
  std::vector<std::pair<model::Subnet, std::string>> earlier;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Value* item = sound_item(root, "node", i, report);
    if (item == nullptr) continue;
    check_node_reach(*item, nodes[i], report);
    const auto subnet = model::Subnet::parse(nodes[i].subnet);
    if (!subnet) continue;
    const auto same =
        std::find_if(earlier.begin(), earlier.end(), [&](const auto& other) { return other.first.overlaps(*subnet); });
    if (same != earlier.end()) {
      report.error(
          part(*item, "subnet"), id::subnets_overlap,
          "node " + in_quotes(nodes[i].name) + " has addresses of node " + in_quotes(same->second) + "'s subnet",
          "give each node a block of its own");
    }
    earlier.emplace_back(*subnet, nodes[i].name);
  }
}

/// Instances of two nodes with one address would take each other's ports.
void check_node_ports(const Value& root, const std::vector<model::Node>& nodes, Report& report) {
  std::map<std::string, std::vector<std::size_t>> by_address;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Value* item = sound_item(root, "node", i, report);
    if (item == nullptr) continue;
    auto& earlier = by_address[nodes[i].address];
    for (const std::size_t j : earlier) {
      if (nodes[i].first_port > nodes[j].last_port || nodes[j].first_port > nodes[i].last_port) continue;
      report.error(part(*item, "ports"), id::ports_overlap,
                   "node " + in_quotes(nodes[i].name) + " has the address of node " + in_quotes(nodes[j].name) +
                       " and some of its ports",
                   "give each its own address, or 'ports' that do not overlap");
      break;
    }
    earlier.push_back(i);
  }
}

void check_gateway_addresses(const Value& root, const std::vector<model::Driven>& gateways, Report& report) {
  std::map<std::string, std::string> first;
  for (std::size_t i = 0; i < gateways.size(); ++i) {
    const Value* item = sound_item(root, "gateway", i, report);
    if (item == nullptr) continue;
    const auto [earlier, is_new] = first.emplace(gateways[i].address, gateways[i].name);
    if (is_new) continue;
    report.warn(part(*item, "address").at, id::place_used_twice,
                "gateway " + in_quotes(gateways[i].name) + " has the address of gateway " + in_quotes(earlier->second) +
                    ", so both cannot listen",
                "give each its own address");
  }
}

std::vector<model::Driven>::const_iterator find_server(const std::vector<model::Driven>& servers,
                                                       const std::string& name) {
  return std::find_if(servers.begin(), servers.end(), [&](const model::Driven& one) { return one.name == name; });
}

/// Gives a witness in DNS its server's address; false: it cannot be, and that is reported.
bool finish_dns_witness(const Value& root, const Value& item, const std::vector<model::Driven>& servers,
                        model::Witness& witness, Report& report) {
  for (const char* key : {"path", "host"}) {
    const Value* given = item.find(key);
    if (given == nullptr) continue;
    report.error_at_key(*given, id::keys_exclude, "'dns' and '" + std::string(key) + "' exclude each other",
                        "remove one of them: a witness is a folder or a record on a DNS server");
    return false;
  }
  const Value* tables = root.find("dns");
  if (tables == nullptr || !report.sound(*tables) || servers.empty()) return false;
  const auto server = find_server(servers, *witness.dns);
  if (server == servers.end()) {
    std::vector<std::string> names;
    for (const auto& one : servers) names.push_back(one.name);
    const auto meant = nearest(*witness.dns, names);
    report.error(part(item, "dns"), id::dangling_name, "there is no [[dns]] server " + in_quotes(*witness.dns),
                 "did you mean '" + meant.value_or(names.front()) + "'?");
    return false;
  }
  witness.host = server->address;
  return true;
}

/// What no two witnesses may share: a register in one place would count its vote twice.
std::string register_place(const model::Witness& witness, const std::vector<model::Driven>& servers) {
  if (!witness.dns) return model::machine_of(witness.host) + ' ' + witness.path;
  const auto server = find_server(servers, *witness.dns);
  const auto port = server->options.find("port");
  return "dns " + witness.host + ' ' + (port == server->options.end() ? std::string() : port->dump());
}

void finish_witnesses(const Value& root, const std::string& folder, const std::vector<model::Driven>& servers,
                      std::vector<model::Witness>& witnesses, Report& report) {
  std::map<std::string, std::string> first;
  for (std::size_t i = 0; i < witnesses.size(); ++i) {
    const Value* item = sound_item(root, "witness", i, report);
    if (item == nullptr) continue;
    auto& witness = witnesses[i];
    if (witness.dns) {
      if (!finish_dns_witness(root, *item, servers, witness, report)) continue;
    } else if (item->find("path") == nullptr) {
      report.error(*item, id::missing_key, "[[witness]] has neither 'path' nor 'dns'",
                   "add 'path', a folder on a machine, or 'dns', the name of a [[dns]] server");
      continue;
    } else if (auto path = absolute_path(*item, witness.host, witness.path, folder, report)) {
      witness.path = *std::move(path);
    } else {
      continue;
    }
    const auto [earlier, is_new] = first.emplace(register_place(witness, servers), witness.id);
    if (is_new) continue;
    const char* key = witness.dns ? "dns" : "path";
    report.error(part(*item, key), id::place_used_twice,
                 "witness " + in_quotes(witness.id) + " has the " + (witness.dns ? "DNS server" : "folder") +
                     " of witness " + in_quotes(earlier->second),
                 witness.dns ? "a DNS server can be one witness: name another one"
                             : "give each its own folder, on a machine of its own");
  }
}

void finish_records(const Value& root, const std::string& folder, std::vector<model::RecordFolder>& records,
                    Report& report) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Value* item = sound_item(root, "record", i, report);
    if (item == nullptr) continue;
    if (auto path = absolute_path(*item, records[i].host, records[i].path, folder, report)) {
      records[i].path = *std::move(path);
    }
  }
}

void check_reach(const Value& root, const ClusterFileKeys& file, Report& report) {
  if (file.cluster.reach != model::Reach::gateways || !file.gateways.empty()) return;
  report.error(part(*root.find("cluster"), "reach"), id::dangling_name, "'reach' is \"gateways\", and there are none",
               "add a [[gateway]], or write reach = \"instances\"");
}

}  // namespace

model::Cluster read_cluster(const Value& root, const std::string& folder, const ClusterDefaults& defaults,
                            Report& report) {
  ClusterFileKeys file;
  cluster_file_table().read(root, file, report);
  for (const char* kind : {"node", "gateway", "dns"}) check_unique(root, kind, "name", report);
  check_unique(root, "witness", "id", report);
  check_node_ports(root, file.nodes, report);
  check_subnets(root, file.nodes, report);
  check_reach(root, file, report);
  check_gateway_addresses(root, file.gateways, report);
  finish_witnesses(root, folder, file.dns, file.witnesses, report);
  finish_records(root, folder, file.records, report);
  finish_copies(root, folder, file.nodes, file.backups, report);

  model::Cluster cluster;
  cluster.name = file.cluster.name;
  cluster.domain = file.cluster.domain;
  cluster.state_folder = absolute(folder, file.cluster.state);
  for (const auto& path : file.plugins.folders) cluster.plugin_folders.push_back(absolute(folder, path));
  if (cluster.plugin_folders.empty()) cluster.plugin_folders = defaults.plugin_folders;
  cluster.gateway_availability = file.cluster.availability.gateways;
  cluster.dns_availability = file.cluster.availability.dns;
  cluster.dns_ttl_s = file.cluster.dns_ttl_s;
  cluster.reach = file.cluster.reach;
  cluster.accept_single_copy = file.cluster.accept_single_copy;
  cluster.removal_limit_percent = file.cluster.removal_limit_percent;
  cluster.ssh = std::move(file.ssh);
  for (auto& path : cluster.ssh.identity) path = absolute(folder, path);
  for (auto* path : {&cluster.ssh.passphrase_file, &cluster.ssh.known_hosts}) {
    if (!path->empty()) *path = absolute(folder, *path);
  }
  cluster.nodes = std::move(file.nodes);
  cluster.gateways = std::move(file.gateways);
  cluster.dns = std::move(file.dns);
  cluster.records = std::move(file.records);
  cluster.power_off = std::move(file.master.power_off);
  cluster.backups = std::move(file.backups);
  cluster.backup_key = finish_copy_key(root, folder, file.cluster.backup, report);
  cluster.witnesses = std::move(file.witnesses);
  if (cluster.witnesses.empty()) {
    cluster.witnesses = {{"local", "local", absolute(cluster.state_folder, "witness")}};
  }
  return cluster;
}

model::Node read_node_table(const Value& table, Report& report) {
  model::Node node;
  node_table().read(table, node, report);
  check_node_reach(table, node, report);
  return node;
}

Json cluster_schema(const std::vector<DriverOptions>& drivers) {
  Json schema = cluster_file_table().schema();
  schema["$schema"] = "http://json-schema.org/draft-07/schema#";
  schema["title"] = "k4t.toml";
  for (auto [section, driver, options] : drivers) {
    if (!schema["properties"].contains(section)) continue;
    Json& table = schema["properties"][section]["items"];
    options.erase("$schema");
    table["properties"]["driver"]["examples"].push_back(driver);
    table["allOf"].push_back({{"if", {{"properties", {{"driver", {{"const", driver}}}}}, {"required", {"driver"}}}},
                              {"then", {{"properties", {{"options", std::move(options)}}}}}});
  }
  return schema;
}

}  // namespace k4t::config
