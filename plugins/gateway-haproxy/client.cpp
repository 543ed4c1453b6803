#include "client.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace k4t::haproxy {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// Absent where it is not a number.
std::optional<double> seconds_of(const std::string& text) {
  double value = 0;
  const auto end = text.data() + text.size();
  const auto [stop, failed] = std::from_chars(text.data(), end, value);
  if (failed != std::errc() || stop != end || text.empty()) return {};
  return value;
}

bool began_after(const std::string& started, const std::string& changed) {
  const auto start = seconds_of(started);
  const auto change = seconds_of(changed);
  return start && change && *change <= *start + std::chrono::duration<double>(clock_coarseness).count();
}

Result<Process> process_of(const Frames& frames) {
  Process process;
  K4T_ASSIGN(const std::string pid, take(frames, "worker"));
  const auto [stop, failed] = std::from_chars(pid.data(), pid.data() + pid.size(), process.worker_pid);
  if (failed != std::errc() || stop != pid.data() + pid.size()) return unavailable("HAProxy's worker has no pid");
  K4T_ASSIGN(const std::string variable, take(frames, "variable"));
  K4T_ASSIGN(process.variable, parse_variable(variable));
  K4T_ASSIGN(const std::string servers, take(frames, "servers"));
  K4T_ASSIGN(process.servers, parse_servers_state(servers));
  K4T_ASSIGN(const std::string stat, take(frames, "stat"));
  K4T_ASSIGN(process.stat, parse_stat(stat));
  const auto started = take(frames, "started");
  const auto changed = take(frames, "changed");
  process.read_this_file = started && changed && began_after(*started, *changed);
  return process;
}

Result<Sight> sight_of(const Frames& frames) {
  Sight sight;
  K4T_ASSIGN(sight.file, take(frames, "file"));
  K4T_ASSIGN(sight.previous, take(frames, "previous"));
  K4T_ASSIGN(const std::string staged, take(frames, "staged"));
  sight.staged = lines_of(staged);
  if (auto down = take(frames, "down")) {
    sight.down = *std::move(down);
  } else {
    K4T_ASSIGN(sight.process, process_of(frames));
  }
  return sight;
}

Result<Outcome> outcome_of(const std::string& word) {
  static const std::pair<std::string_view, Outcome> words[] = {
      {"conflict", Outcome::conflict},  {"busy", Outcome::busy},     {"runtime", Outcome::runtime},
      {"moved", Outcome::moved},        {"reload", Outcome::reload}, {"restored", Outcome::restored},
      {"undecided", Outcome::undecided}};
  for (const auto& [text, outcome] : words) {
    if (text == word) return outcome;
  }
  return unavailable("HAProxy's host answered an unknown outcome '" + word + "'");
}

/// Seconds that a reload may take, so that its end is still seen within the call.
std::string patience(const Call& call) {
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(call.remaining(std::chrono::seconds(30)));
  return std::to_string(std::clamp<std::int64_t>(left.count() - 2, 3, 60));
}

Result<void> done(const Result<Frames>& answer) {
  if (!answer) return answer.error();
  K4T_TRY(take(*answer, "done"));
  return {};
}

}  // namespace

Result<transport::Output> Client::execute(std::vector<std::string> argv, const Call& call) {
  transport::Command command;
  command.argv = std::move(argv);
  command.timeout = call.remaining(std::chrono::seconds(60));
  command.cancelled = [&call] { return call.cancelled(); };
  return agent_.host().run(command);
}

Result<Sight> Client::look(const Call& call) {
  K4T_ASSIGN(const auto frames, agent_.ask("look", {}, Again::allowed, call));
  return sight_of(frames);
}

Result<Replaced> Client::replace(const Replacement& replacement, const Call& call) {
  Frames request = {{"old", replacement.old_file},
                    {"new", replacement.new_file},
                    {"stage", replacement.stage},
                    {"marker", replacement.text},
                    {"seconds", patience(call)},
                    {"vouched", replacement.vouched},
                    {"worker", replacement.worker_pid == 0 ? std::string() : std::to_string(replacement.worker_pid)},
                    {"planned", replacement.planned ? "1" : "0"}};
  if (replacement.fallback != replacement.old_file) request.emplace_back("fallback", replacement.fallback);
  if (replacement.batch) {
    std::string lines;
    for (const auto& line : replacement.batch->lines) lines += line + "\n";
    request.emplace_back("batch", std::move(lines));
    request.emplace_back("added", std::to_string(replacement.batch->added));
  }
  K4T_ASSIGN(const auto frames, agent_.ask("replace", request, Again::forbidden, call));
  K4T_ASSIGN(const std::string word, take(frames, "outcome"));
  Replaced replaced;
  K4T_ASSIGN(replaced.outcome, outcome_of(word));
  if (replaced.outcome == Outcome::runtime || replaced.outcome == Outcome::reload) {
    K4T_ASSIGN(replaced.sight, sight_of(frames));
  }
  return replaced;
}

Result<std::vector<StatRow>> Client::sessions(const Call& call) {
  K4T_ASSIGN(const auto frames, agent_.ask("connections", {}, Again::allowed, call));
  std::vector<StatRow> rows;
  for (const auto& [name, bytes] : frames) {
    if (name != "stat") continue;
    K4T_ASSIGN(const auto some, parse_stat(bytes));
    rows.insert(rows.end(), some.begin(), some.end());
  }
  K4T_TRY(take(frames, "asked"));
  return rows;
}

Result<void> Client::check(const std::string& file, const Call& call) {
  std::vector<std::string> argv = {paths_.binary, "-c"};
  for (const auto& config : paths_.config) argv.insert(argv.end(), {"-f", config});
  argv.insert(argv.end(), {"-f", file});
  auto output = execute(std::move(argv), call);
  if (!output && output.status() == Status::not_found) {
    return unavailable("there is no program '" + paths_.binary + "' on " + agent_.host().name() +
                       ": install HAProxy or set the option binary");
  }
  if (!output) return output.error();
  // More than 128: a signal ended it, which says nothing about the files.
  if (output->exit_code > 128) return unavailable("'" + paths_.binary + " -c' was killed", output->err);
  // Nothing to listen on is no fault: a state without services is one, and the master socket keeps the worker going.
  if (output->exit_code == 2 && (output->out + output->err).find("(no listener)") != std::string::npos) return {};
  if (output->exit_code != 0) {
    return Error{Status::invalid_argument, "HAProxy refuses its configuration: correct what it names in the detail",
                 output->err + output->out};
  }
  return {};
}

Result<std::vector<Listening>> Client::listening(const Call& call) {
  auto output = execute({"ss", "-Hltnp"}, call);
  if (!output && output.status() == Status::not_found) {
    return unavailable("there is no program 'ss' on " + agent_.host().name() + ": install the package iproute2");
  }
  if (!output) return output.error();
  if (output->exit_code != 0) return unavailable("'ss' failed on " + agent_.host().name(), output->err);
  return parse_ss(output->out);
}

Result<void> Client::put_stage(const std::string& txn, const std::string& text, const Call& call) {
  return done(agent_.ask("stage", {{"stage", stage_name(txn)}, {"text", text}}, Again::allowed, call));
}

Result<std::string> Client::read_stage(const std::string& txn, const Call& call) {
  K4T_ASSIGN(const auto frames, agent_.ask("read_stage", {{"stage", stage_name(txn)}}, Again::allowed, call));
  return take(frames, "text");
}

Result<void> Client::remove_stage(const std::string& txn, const Call& call) {
  return done(agent_.ask("unstage", {{"stage", stage_name(txn)}}, Again::allowed, call));
}

std::vector<Listening> parse_ss(std::string_view output) {
  std::vector<Listening> found;
  for (const auto& line : lines_of(std::string(output))) {
    std::istringstream words(line);
    std::string state;
    std::string received;
    std::string sent;
    std::string local;
    std::string peer;
    std::string users;
    if (!(words >> state >> received >> sent >> local >> peer)) continue;
    words >> users;
    const auto colon = local.rfind(':');
    if (colon == std::string::npos) continue;
    Listening one;
    const auto [stop, failed] = std::from_chars(local.data() + colon + 1, local.data() + local.size(), one.port);
    if (failed != std::errc() || stop != local.data() + local.size()) continue;
    one.address = local.substr(0, colon);
    if (one.address.starts_with('[') && one.address.ends_with(']')) {
      one.address = one.address.substr(1, one.address.size() - 2);
    }
    one.address = one.address.substr(0, one.address.find('%'));
    const auto quote = users.find('"');
    if (quote != std::string::npos) one.program = users.substr(quote + 1, users.find('"', quote + 1) - quote - 1);
    found.push_back(std::move(one));
  }
  return found;
}

bool collides(const std::string& address, std::uint16_t port, const Listening& other) {
  if (port != other.port) return false;
  const auto any = [](const std::string& text) { return text == "*" || text == "::" || text == "0.0.0.0"; };
  return address == other.address || any(address) || any(other.address);
}

}  // namespace k4t::haproxy
