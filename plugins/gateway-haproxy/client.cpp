#include "client.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "scripts.hpp"

namespace k4t::haproxy {
namespace {

using Frames = std::vector<std::pair<std::string, std::string>>;

Error unavailable(std::string message, std::string detail = {}) {
  return {Status::unavailable, std::move(message), std::move(detail)};
}

/// Empty where the text is not made of whole frames.
std::optional<Frames> parse_frames(std::string_view text) {
  Frames frames;
  while (!text.empty()) {
    const auto line_end = text.find('\n');
    const auto space = text.find(' ');
    if (line_end == std::string_view::npos || space == std::string_view::npos || space > line_end) return {};
    std::size_t bytes = 0;
    const auto [stop, failed] = std::from_chars(text.data() + space + 1, text.data() + line_end, bytes);
    if (failed != std::errc() || stop != text.data() + line_end) return {};
    if (text.size() - line_end - 1 <= bytes || text[line_end + 1 + bytes] != '\n') return {};
    frames.emplace_back(text.substr(0, space), text.substr(line_end + 1, bytes));
    text.remove_prefix(line_end + 1 + bytes + 1);
  }
  return frames;
}

void put_frame(std::string& out, const std::string& name, const std::string& bytes) {
  out += name + " " + std::to_string(bytes.size()) + "\n" + bytes + "\n";
}

const std::string* find(const Frames& frames, std::string_view name) {
  const auto found = std::find_if(frames.begin(), frames.end(), [&](const auto& frame) { return frame.first == name; });
  return found == frames.end() ? nullptr : &found->second;
}

Result<std::string> take(const Frames& frames, std::string_view name) {
  const auto* found = find(frames, name);
  if (found == nullptr) return unavailable("the answer of HAProxy's host has no part '" + std::string(name) + "'");
  return *found;
}

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
  K4T_ASSIGN(const std::string started, take(frames, "started"));
  K4T_ASSIGN(const std::string changed, take(frames, "changed"));
  process.read_this_file = began_after(started, changed);
  return process;
}

Result<Outcome> outcome_of(const std::string& word) {
  static const std::pair<std::string_view, Outcome> words[] = {
      {"conflict", Outcome::conflict}, {"busy", Outcome::busy},         {"runtime", Outcome::runtime},
      {"reload", Outcome::reload},     {"restored", Outcome::restored}, {"undecided", Outcome::undecided}};
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

}  // namespace

Result<transport::Output> Client::execute(std::vector<std::string> argv, const Call& call) {
  transport::Command command;
  command.argv = std::move(argv);
  command.timeout = call.remaining(std::chrono::seconds(60));
  command.cancelled = [&call] { return call.cancelled(); };
  return host_->run(command);
}

Result<Client::Frames> Client::run(const std::string& script, std::vector<std::string> args, std::string input,
                                   const Call& call) {
  transport::Command command;
  command.argv = {"perl", "-e", script};
  command.argv.insert(command.argv.end(), args.begin(), args.end());
  command.input = std::move(input);
  command.timeout = call.remaining(std::chrono::seconds(60));
  command.cancelled = [&call] { return call.cancelled(); };
  command.output_limit_bytes = 64u << 20;
  auto output = host_->run(command);
  if (!output && output.status() == Status::not_found) {
    return unavailable("there is no perl on " + host_->name() + ": install the package perl-base");
  }
  if (!output) return output.error();
  auto frames = parse_frames(output->out);
  if (!frames || frames->empty() || output->exit_code != 0) {
    return unavailable(
        "k4t's program on " + host_->name() + " broke off with exit code " + std::to_string(output->exit_code),
        output->err);
  }
  if (const auto* error = find(*frames, "error")) return unavailable("on " + host_->name() + ": " + *error);
  return *std::move(frames);
}

Result<Sight> Client::look(const Call& call) {
  K4T_ASSIGN(const auto frames, run(observe_script(), {paths_.file, paths_.work(), paths_.master_socket}, {}, call));
  Sight sight;
  K4T_ASSIGN(sight.file, take(frames, "file"));
  K4T_ASSIGN(sight.previous, take(frames, "previous"));
  K4T_ASSIGN(const std::string staged, take(frames, "staged"));
  sight.staged = lines_of(staged);
  if (const auto* down = find(frames, "down")) {
    sight.down = *down;
    return sight;
  }
  K4T_ASSIGN(sight.process, process_of(frames));
  return sight;
}

Result<Outcome> Client::replace(const Replacement& replacement, const Call& call) {
  std::string input;
  put_frame(input, "old", replacement.old_file);
  put_frame(input, "new", replacement.new_file);
  put_frame(input, "fallback", replacement.fallback);
  std::string batch;
  if (replacement.batch) {
    for (const auto& line : replacement.batch->lines) batch += line + "\n";
  }
  put_frame(input, "batch", batch);
  put_frame(input, "end", "");
  K4T_ASSIGN(const auto frames,
             run(commit_script(),
                 {paths_.file, paths_.work(), paths_.master_socket, replacement.batch ? "runtime" : "reload",
                  replacement.text, replacement.stage, patience(call),
                  std::to_string(replacement.batch ? replacement.batch->added : 0), replacement.vouched},
                 std::move(input), call));
  K4T_ASSIGN(const std::string word, take(frames, "outcome"));
  return outcome_of(word);
}

Result<std::vector<StatRow>> Client::sessions(const Call& call) {
  auto frames = run(connections_script(), {paths_.master_socket}, {}, call);
  if (!frames) return frames.error();
  std::vector<StatRow> rows;
  for (const auto& [name, bytes] : *frames) {
    if (name != "stat") continue;
    K4T_ASSIGN(const auto some, parse_stat(bytes));
    rows.insert(rows.end(), some.begin(), some.end());
  }
  K4T_TRY(take(*frames, "asked"));
  return rows;
}

Result<void> Client::check(const std::string& file, const Call& call) {
  std::vector<std::string> argv = {paths_.binary, "-c"};
  for (const auto& config : paths_.config) argv.insert(argv.end(), {"-f", config});
  argv.insert(argv.end(), {"-f", file});
  auto output = execute(std::move(argv), call);
  if (!output && output.status() == Status::not_found) {
    return unavailable("there is no program '" + paths_.binary + "' on " + host_->name() +
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
    return unavailable("there is no program 'ss' on " + host_->name() + ": install the package iproute2");
  }
  if (!output) return output.error();
  if (output->exit_code != 0) return unavailable("'ss' failed on " + host_->name(), output->err);
  return parse_ss(output->out);
}

Result<void> Client::put_stage(const std::string& txn, const std::string& text) {
  K4T_TRY(host_->make_folder(paths_.work(), 0755));
  return host_->put_file(paths_.stage(txn), text, 0644);
}

Result<std::string> Client::read_stage(const std::string& txn) { return host_->read_file(paths_.stage(txn)); }

Result<void> Client::remove_stage(const std::string& txn) { return host_->remove_file(paths_.stage(txn)); }

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
