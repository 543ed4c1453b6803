#include "runtime.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "k4t/gateway_rules.hpp"
#include "syntax.hpp"

namespace k4t::haproxy {
namespace {

using Key = std::pair<std::string, std::string>;  // proxy, server

constexpr std::string_view own_proxies = "k4t-be-";

Error unexpected(std::string_view command, std::string_view reply) {
  constexpr std::size_t shown_bytes = 500;
  return {Status::unavailable, "HAProxy answered '" + std::string(command) + "' in an unexpected way",
          std::string(reply.substr(0, shown_bytes))};
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end != 0) lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::vector<std::string_view> fields_of(std::string_view line, char separator) {
  std::vector<std::string_view> fields;
  for (;;) {
    const auto end = line.find(separator);
    fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end + 1);
  }
}

template <class T>
bool number(std::string_view text, T& value) {
  const auto end = text.data() + text.size();
  const auto [stop, failed] = std::from_chars(text.data(), end, value);
  return failed == std::errc() && stop == end && !text.empty();
}

/// Column names of a table whose first line is "# a b c", to their places.
std::map<std::string_view, std::size_t> columns_of(std::string_view header, char separator) {
  std::map<std::string_view, std::size_t> columns;
  const auto names = fields_of(header.substr(2), separator);
  for (std::size_t i = 0; i < names.size(); ++i) columns.emplace(names[i], i);
  return columns;
}

/// Packs commands into lines that fit HAProxy's buffer (16 KiB, both of the master and of the worker).
std::vector<std::string> pack(const std::vector<std::string>& commands, std::int64_t worker_pid) {
  constexpr std::size_t limit_bytes = 8000;
  const std::string to_worker = "@!" + std::to_string(worker_pid) + " ";
  std::vector<std::string> lines;
  for (const auto& command : commands) {
    if (lines.empty() || lines.back().size() + command.size() > limit_bytes) lines.emplace_back("experimental-mode on");
    lines.back() += "; " + to_worker + command;
  }
  for (auto& line : lines) line += "; quit";
  return lines;
}

std::map<Key, std::string> words_of(const Layout& layout) {
  std::map<Key, std::string> words;
  for (const auto& server : layout.servers) words[{server.proxy, server.name}] = server.words;
  return words;
}

void take_out(std::vector<std::string>& commands, const Key& key) {
  const std::string server = key.first + "/" + key.second;
  commands.push_back("set server " + server + " state maint");
  commands.push_back("del server " + server);
}

void put_in(std::vector<std::string>& commands, const Key& key, const std::string& words) {
  const std::string server = key.first + "/" + key.second;
  commands.push_back("add server " + server + " " + words);
  if (words.find(" check ") != std::string::npos) commands.push_back("enable health " + server);
  commands.push_back("enable server " + server);
}

}  // namespace

Result<std::vector<RunningServer>> parse_servers_state(std::string_view reply) {
  const auto lines = lines_of(reply);
  if (lines.size() < 2 || lines[0] != "1" || !lines[1].starts_with("# be_id ")) {
    return unexpected("show servers state", reply);
  }
  const auto columns = columns_of(lines[1], ' ');
  for (const auto* name : {"be_name", "srv_name", "srv_addr", "srv_admin_state", "srv_uweight", "srv_port"}) {
    if (!columns.contains(name)) return unexpected("show servers state", reply);
  }
  std::vector<RunningServer> servers;
  for (std::size_t i = 2; i < lines.size(); ++i) {
    const auto fields = fields_of(lines[i], ' ');
    if (fields.size() < columns.size()) return unexpected("show servers state", lines[i]);
    const auto field = [&](const char* name) { return fields[columns.at(name)]; };
    RunningServer server{
        std::string(field("be_name")), std::string(field("srv_name")), std::string(field("srv_addr")), 0, 0, 0};
    if (!server.proxy.starts_with(own_proxies)) continue;
    if (!number(field("srv_port"), server.port) || !number(field("srv_admin_state"), server.admin_state) ||
        !number(field("srv_uweight"), server.weight)) {
      return unexpected("show servers state", lines[i]);
    }
    servers.push_back(std::move(server));
  }
  return servers;
}

Result<std::optional<std::string>> parse_variable(std::string_view reply) {
  constexpr std::string_view found = "proc.k4t: type=str value=<";
  const auto lines = lines_of(reply);
  if (lines.size() == 1 && lines[0].starts_with("Variable not found")) return std::optional<std::string>();
  if (lines.size() != 1 || !lines[0].starts_with(found) || !lines[0].ends_with('>')) {
    return unexpected("get var", reply);
  }
  return std::optional(std::string(lines[0].substr(found.size(), lines[0].size() - found.size() - 1)));
}

Result<std::vector<StatRow>> parse_stat(std::string_view reply) {
  const auto lines = lines_of(reply);
  if (lines.empty() || !lines[0].starts_with("# pxname,svname,")) return unexpected("show stat", reply);
  const auto columns = columns_of(lines[0], ',');
  if (!columns.contains("scur") || !columns.contains("status")) return unexpected("show stat", reply);
  std::vector<StatRow> rows;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    // No field that is read here is ever quoted; a quoted one can only stand behind them.
    const auto fields = fields_of(lines[i], ',');
    if (fields.size() <= columns.at("status")) return unexpected("show stat", lines[i]);
    StatRow row{std::string(fields[0]), std::string(fields[1]), std::string(fields[columns.at("status")]), 0};
    if (!row.proxy.starts_with("k4t-")) continue;
    if (!number(fields[columns.at("scur")], row.sessions)) return unexpected("show stat", lines[i]);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::optional<Batch> plan_batch(const Layout& before, const Layout& after, const std::vector<RunningServer>& running,
                                std::int64_t worker_pid) {
  if (before.skeleton != after.skeleton) return {};
  const auto old_words = words_of(before);
  const auto new_words = words_of(after);
  std::map<Key, bool> waiting;
  for (const auto& server : running) waiting[{server.proxy, server.name}] = true;
  std::vector<std::string> commands;
  Batch batch;
  for (const auto& [key, words] : new_words) {
    const auto kept = old_words.find(key);
    if (kept != old_words.end()) {
      // A running server's check cannot be changed.
      if (kept->second != words) return {};
      continue;
    }
    // One that waits for its last connection may carry older words: only a new one is known to be right.
    if (waiting.contains(key)) take_out(commands, key);
    put_in(commands, key, words);
    ++batch.added;
  }
  for (const auto& [key, here] : waiting) {
    if (!new_words.contains(key)) take_out(commands, key);
  }
  batch.lines = pack(commands, worker_pid);
  return batch;
}

std::string difference(const Layout& layout, const std::vector<RunningServer>& running) {
  std::map<Key, const RunningServer*> there;
  for (const auto& server : running) there[{server.proxy, server.name}] = &server;
  for (const auto& server : layout.servers) {
    const std::string what = "server " + server.proxy + "/" + server.name;
    const auto found = there.find({server.proxy, server.name});
    if (found == there.end()) return what + " is missing in the running process";
    const RunningServer& is = *found->second;
    if (!server.words.starts_with(gateway::socket_text(is.address, is.port) + " "))
      return what + " has another address";
    if (is.admin_state != 0) return what + " was taken out of use by hand";
    if (is.weight != 1) return what + " has another weight";
    there.erase(found);
  }
  constexpr std::uint32_t maintenance = 0x01;
  for (const auto& [key, server] : there) {
    if ((server->admin_state & maintenance) == 0) {
      return "server " + key.first + "/" + key.second + " is not in the file but in use";
    }
  }
  return {};
}

}  // namespace k4t::haproxy
