#include "snapshot.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace k4t::nginx {
namespace {

/// The text up to the next blank; `rest` goes on behind it.
std::string_view word(std::string_view& rest) {
  const auto end = rest.find(' ');
  const auto found = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return found;
}

template <class Number>
Number number(std::string_view text) {
  Number value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

LiveFile& file_named(Snapshot& into, std::string_view name) { return name == "http" ? into.http : into.stream; }

void take_folder(Snapshot& into, std::string_view rest) {
  if (rest == "readable") into.folder = Snapshot::Folder::readable;
  if (rest == "absent") into.folder = Snapshot::Folder::absent;
}

void take_master(Snapshot& into, std::string_view rest) {
  into.master_alive = word(rest) == "alive";
  into.master_pid = number<int>(rest);
}

void take_worker(Snapshot& into, std::string_view rest) {
  Worker worker;
  worker.pid = number<int>(word(rest));
  worker.retiring = word(rest) == "retiring";
  worker.started_s = number<std::int64_t>(rest);
  into.workers.push_back(worker);
}

void take_status(Snapshot& into, std::string_view rest) {
  if (rest == "silent") into.status_port = Snapshot::StatusPort::silent;
  if (rest == "listening") into.status_port = Snapshot::StatusPort::listening;
}

void take_line(Snapshot& into, std::string_view rest) {
  const auto key = word(rest);
  if (key == "folder") return take_folder(into, rest);
  if (key == "live") into.has_live = true;
  if (key == "line") {
    const auto name = word(rest);
    file_named(into, name).line = parse_first_line(rest);
  }
  if (key == "digest") {
    const auto name = word(rest);
    file_named(into, name).digest = rest;
  }
  if (key == "changed") into.changed_s = std::max(into.changed_s, number<std::int64_t>(rest));
  if (key == "damage") into.damage.emplace_back(rest);
  if (key == "staged" && check_txn(rest)) into.staged.emplace_back(rest);
  if (key == "master") take_master(into, rest);
  if (key == "worker") take_worker(into, rest);
  if (key == "status") take_status(into, rest);
}

}  // namespace

std::optional<Register> Snapshot::stored() const {
  if (http.line) return http.line->at;
  if (stream.line) return stream.line->at;
  return {};
}

bool Snapshot::intact() const { return http.intact() && stream.intact() && http.line->at == stream.line->at; }

Result<Snapshot> parse_snapshot(std::string_view text) {
  Snapshot snapshot;
  bool ended = false;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    take_line(snapshot, line);
    ended = line == "end";
  }
  if (!ended) {
    return Error{Status::unavailable, "nginx's host did not answer what was asked", std::string(text.substr(0, 2000))};
  }
  return snapshot;
}

}  // namespace k4t::nginx
