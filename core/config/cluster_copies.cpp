#include "config/cluster_copies.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

namespace k4t::config {

const Table<CopyKeyKeys>& copy_key_table() {
  static const auto table = [] {
    Table<CopyKeyKeys> keys("[cluster.backup]", "How copies of the metadata are closed to those who can read them");
    keys.key("encrypt", yes_or_no(), Need::optional, &CopyKeyKeys::encrypt,
             "false: whoever can read a copy knows the cluster, and whoever can write there can forge one")
        .key("key_file", file_path(), Need::optional, &CopyKeyKeys::key_file,
             "The key that `k4t init` makes; without it, and without the copies' machines, nothing can be restored")
        .key("passphrase_file", file_path(), Need::absent, &CopyKeyKeys::passphrase_file,
             "Instead of a key: a file whose first line is a passphrase of at least 12 characters");
    return keys;
  }();
  return table;
}

const Table<model::BackupPlace>& copies_table() {
  static const auto table = [] {
    using model::BackupPlace;
    constexpr std::uint32_t minute_s = 60;
    constexpr std::uint32_t decade_s = 3650 * day_s;
    Table<BackupPlace> keys("[[backup]]", "A machine that gets copies of the master's metadata");
    keys.key("node", name(machine_name_limit), Need::absent, &BackupPlace::node,
             "The [[node]] to keep copies on, as k4t reaches it over SSH")
        .key("host", machine(), Need::absent, &BackupPlace::host, "Instead of a node: any machine")
        .key("path", file_path(), Need::optional, &BackupPlace::path,
             "The folder; absolute where the machine is not this one")
        .key("every", seconds(minute_s, 7 * day_s), Need::optional, &BackupPlace::every_s,
             "How old the newest copy may be there while a master runs")
        .key("keep", whole(1, 10'000), Need::optional, &BackupPlace::keep, "How many copies stay there at most")
        .key("keep_for", seconds(minute_s, decade_s), Need::optional, &BackupPlace::keep_for_s,
             "How long a copy stays there; the newest always does");
    return keys;
  }();
  return table;
}

const Value* sound_item(const Value& root, std::string_view list_name, std::size_t index, const Report& report) {
  const Value* list = root.find(list_name);
  if (list == nullptr || index >= list->items.size() || !report.sound(list->items[index])) return nullptr;
  return &list->items[index];
}

std::string absolute(const std::string& folder, const std::string& path) {
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

std::optional<std::string> absolute_path(const Value& item, const std::string& host, const std::string& path,
                                         const std::string& folder, Report& report) {
  std::filesystem::path whole(path);
  if (host == "local") whole = std::filesystem::path(folder) / whole;
  if (whole.is_absolute()) return whole.lexically_normal().string();
  report.error(part(item, "path"), id::impossible_value,
               "'path' is " + in_quotes(path) + ": relative, on another machine", "write the absolute path");
  return std::nullopt;
}

namespace {

/// Gives a place that names a node that node's machine; false: it cannot be, and that is reported.
bool take_node(const Value& item, const std::vector<model::Node>& nodes, model::BackupPlace& place, Report& report) {
  const auto node =
      std::find_if(nodes.begin(), nodes.end(), [&](const model::Node& one) { return one.name == place.node; });
  if (node == nodes.end()) {
    std::vector<std::string> names;
    for (const auto& one : nodes) names.push_back(one.name);
    const auto meant = nearest(place.node, names);
    report.error(part(item, "node"), id::dangling_name, "there is no [[node]] " + in_quotes(place.node),
                 names.empty() ? "name a node, or a machine with 'host'"
                               : "did you mean '" + meant.value_or(names.front()) + "'?");
    return false;
  }
  const auto host = node->options.find("host");
  const auto parsed = host != node->options.end() && host->is_string() ? parse_machine(host->get<std::string>())
                                                                       : Error{Status::invalid_argument, "", {}};
  if (parsed && *parsed != "local") {
    place.host = *parsed;
    return true;
  }
  report.error(part(item, "node"), id::impossible_value,
               "node " + in_quotes(place.node) + " is not reached over SSH, so that no file can be put there",
               "name a machine with 'host' instead, e.g. \"ssh://" + node->address + "\"");
  return false;
}

}  // namespace

void finish_copies(const Value& root, const std::string& folder, const std::vector<model::Node>& nodes,
                   std::vector<model::BackupPlace>& places, Report& report) {
  std::map<std::string, std::string> first;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Value* item = sound_item(root, "backup", i, report);
    if (item == nullptr) continue;
    auto& place = places[i];
    if (place.node.empty() == place.host.empty()) {
      report.error(
          *item, place.node.empty() ? id::missing_key : id::keys_exclude,
          place.node.empty() ? "[[backup]] has neither 'node' nor 'host'" : "'node' and 'host' exclude each other",
          "say where copies are kept: the name of a [[node]], or a machine such as \"ssh://192.0.2.11\"");
      continue;
    }
    if (!place.node.empty() && !take_node(*item, nodes, place, report)) continue;
    auto path = absolute_path(*item, place.host, place.path, folder, report);
    if (!path) continue;
    place.path = *std::move(path);
    const auto [earlier, is_new] = first.emplace(model::machine_of(place.host) + ' ' + place.path, place.title());
    if (is_new) continue;
    report.error(
        *item, id::place_used_twice,
        "copies on " + in_quotes(place.title()) + " go to the folder of those on " + in_quotes(earlier->second),
        "give each a 'path' of its own, or remove one");
  }
}

model::BackupKey finish_copy_key(const Value& root, const std::string& folder, const CopyKeyKeys& keys,
                                 Report& report) {
  model::BackupKey key;
  key.encrypt = keys.encrypt;
  const Value* cluster = root.find("cluster");
  const Value* table = cluster == nullptr ? nullptr : cluster->find("backup");
  const Value* passphrase = table == nullptr ? nullptr : table->find("passphrase_file");
  const Value* file = table == nullptr ? nullptr : table->find("key_file");
  if (passphrase != nullptr && file != nullptr) {
    report.error_at_key(*passphrase, id::keys_exclude, "'passphrase_file' and 'key_file' exclude each other",
                        "remove one of them");
  }
  for (const auto* given : {passphrase, file}) {
    if (given == nullptr || keys.encrypt) continue;
    report.error_at_key(*given, id::keys_exclude, "a key, and 'encrypt' is false", "remove one of them");
  }
  if (!keys.encrypt) return key;
  if (keys.passphrase_file.empty()) {
    key.key_file = absolute(folder, keys.key_file);
  } else {
    key.passphrase_file = absolute(folder, keys.passphrase_file);
  }
  return key;
}

}  // namespace k4t::config
