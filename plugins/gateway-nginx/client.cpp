#include "client.hpp"

#include <algorithm>

#include "k4t/digest.hpp"
#include "k4t/gateway_rules.hpp"
#include "k4t/http.hpp"
#include "scripts.hpp"

namespace k4t::nginx {
namespace {

using std::chrono::milliseconds;

// nginx gives up a port after 2.5 s; but it reads thousands of services for seconds, on a busy machine for tens of
// them.
constexpr std::int64_t patience_max_s = 60;
constexpr std::size_t sockets_limit_bytes = 64u << 20;
constexpr std::size_t detail_limit_bytes = 8u << 10;
constexpr std::size_t argument_limit_bytes = 32u << 10;

std::string text_or_blank(const std::optional<Register>& value) { return value ? to_text(*value) : "BLANK"; }

Status status_of_exit(int exit_code) {
  switch (exit_code) {
    case scripts::exit_code::conflict: return Status::conflict;
    case scripts::exit_code::not_found: return Status::not_found;
    case scripts::exit_code::busy: return Status::busy;
    case scripts::exit_code::invalid: return Status::invalid_argument;
    default: return Status::unavailable;
  }
}

/// A script that failed on purpose printed its message and evidence; any other end says what the shell said.
Error script_error(const transport::Output& output) {
  const bool on_purpose =
      output.exit_code >= scripts::exit_code::conflict && output.exit_code <= scripts::exit_code::invalid;
  if (!on_purpose) {
    return {Status::unavailable,
            "a step on nginx's host ended with code " + std::to_string(output.exit_code) + "; what it did is not known",
            output.err.substr(0, detail_limit_bytes)};
  }
  const auto line_end = output.out.find('\n');
  std::string detail = line_end == std::string::npos ? std::string() : output.out.substr(line_end + 1);
  detail = detail.substr(0, detail_limit_bytes) + output.err.substr(0, detail_limit_bytes);
  return {status_of_exit(output.exit_code), output.out.substr(0, line_end), std::move(detail)};
}

/// The command of sed that points the includes of a main configuration at the folder of checks. Paths are made of
/// letters, digits and "/._-" (options.cpp).
std::string redirection(const std::string& folder) {
  std::string pattern;
  for (const char c : folder) (pattern += c == '.' ? "\\" : "") += c;
  return "s|" + pattern + "/live/|" + folder + "/check/|g";
}

/// "k4t 1 CLUSTER VERSION TXN WRITER PID"
std::optional<Register> parse_status(std::string_view body) {
  constexpr std::string_view begin = "k4t 1 ";
  if (!body.starts_with(begin)) return {};
  body.remove_prefix(begin.size());
  return register_from_text(body.substr(0, body.rfind(' ')));
}

}  // namespace

Client::Client(std::shared_ptr<transport::Host> host, Options options)
    : host_(std::move(host)), options_(std::move(options)) {}

Result<std::string> Client::run(std::string_view script, std::vector<std::string> arguments, std::string input,
                                Call& call) {
  if (call.cancelled()) return Error{Status::deadline, "no time is left for nginx's host", {}};
  transport::Command command;
  command.argv = {"/bin/sh", "-c", std::string(scripts::words) + std::string(script), "k4t"};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.input = std::move(input);
  command.timeout = call.remaining();
  command.cancelled = [&call] { return call.cancelled(); };
  K4T_ASSIGN(const auto output, host_->run(command));
  if (output.exit_code != 0) return script_error(output);
  return output.out;
}

std::vector<std::string> Client::nginx_command(std::vector<std::string> arguments) const {
  std::vector<std::string> command{options_.binary};
  if (!options_.prefix.empty()) command.insert(command.end(), {"-p", options_.prefix});
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

Result<Snapshot> Client::look(Call& call) {
  K4T_ASSIGN(
      const auto text,
      run(scripts::snapshot, {options_.folder, options_.pid_file, std::to_string(options_.status_port)}, {}, call));
  return parse_snapshot(text);
}

Result<std::optional<Register>> Client::served(const Snapshot& at, Call& call) {
  if (at.status_port == Snapshot::StatusPort::silent) return std::optional<Register>();
  if (at.status_port == Snapshot::StatusPort::unknown) {
    return Error{Status::unavailable, "the program ss does not work on nginx's host: install iproute2", {}};
  }
  K4T_ASSIGN(auto found, answered(call));
  return std::optional<Register>(std::move(found));
}

Result<Register> Client::answered(Call& call) {
  const std::string where = "127.0.0.1:" + std::to_string(options_.status_port);
  // A client of its own for every question: a kept connection would be answered by a worker that is shutting down.
  http::Client client({host_, {}, "127.0.0.1", options_.status_port});
  http::Request request;
  request.headers["Connection"] = "close";
  request.timeout = std::min<milliseconds>(call.remaining(), std::chrono::seconds(10));
  request.cancelled = [&call] { return call.cancelled(); };
  request.body_limit_bytes = 4096;
  const auto response = client.send(request);
  if (!response) return response.error().within("nginx's status at " + where);
  auto found = response->status == 200 ? parse_status(response->body) : std::nullopt;
  if (found) return *std::move(found);
  return Error{Status::unavailable,
               "what answers at " + where +
                   " is not nginx's status for k4t: choose another status_port, or end the "
                   "program that listens there",
               response->body.substr(0, 200)};
}

std::string Client::served_text(Call& call) {
  const auto now = look(call);
  if (!now) return "UNKNOWN";
  const auto found = served(*now, call);
  return found ? text_or_blank(*found) : "UNKNOWN";
}

Result<std::string> Client::sockets(std::vector<std::string> arguments, Call& call) {
  transport::Command command;
  command.argv = {"ss"};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.timeout = call.remaining();
  command.cancelled = [&call] { return call.cancelled(); };
  command.output_limit_bytes = sockets_limit_bytes;
  const auto output = host_->run(command);
  if (!output) return output.error().within("listing TCP sockets with ss (package iproute2)");
  if (output->exit_code != 0 || output->out.size() >= sockets_limit_bytes) {
    return Error{Status::unavailable, "ss could not list the TCP sockets", output->err.substr(0, detail_limit_bytes)};
  }
  return output->out;
}

Result<std::set<std::string>> Client::live_listens(Call& call) {
  K4T_ASSIGN(const auto text, run(scripts::live_listens, {options_.folder}, {}, call));
  return parse_live_listens(text);
}

Result<std::vector<SocketLine>> Client::established(const std::vector<gateway::Endpoint>& to, Call& call) {
  // Only the endpoints asked for, in pieces that fit a command line: a busy gateway has very many connections.
  constexpr std::size_t piece = 200;
  std::vector<SocketLine> found;
  for (std::size_t begin = 0; begin < to.size(); begin += piece) {
    std::string filter;
    for (std::size_t i = begin; i < std::min(begin + piece, to.size()); ++i) {
      filter += (filter.empty() ? "dst " : " or dst ") + gateway::socket_text(to[i].address, to[i].port);
    }
    K4T_ASSIGN(const auto text, sockets({"-Htnp", "state", "established", "( " + filter + " )"}, call));
    for (auto& line : parse_sockets(text, false)) found.push_back(std::move(line));
  }
  return found;
}

Result<Listening> Client::stage(const std::optional<Register>& seen, const Register& target, const Files& files,
                                bool needs_stream, Call& call) {
  const bool apart = files.stream.size() <= argument_limit_bytes;
  std::string input = apart ? files.http : files.http + files.stream;
  std::vector<std::string> arguments{options_.folder,
                                     target.txn,
                                     text_or_blank(seen),
                                     sha256_hex(input),
                                     std::to_string(files.http.size()),
                                     options_.config,
                                     needs_stream ? "yes" : "no",
                                     options_.pid_file,
                                     redirection(options_.folder),
                                     apart ? files.stream : std::string()};
  const auto nginx = nginx_command({});
  arguments.insert(arguments.end(), nginx.begin(), nginx.end());
  K4T_ASSIGN(const auto text, run(scripts::stage, std::move(arguments), std::move(input), call));
  return parse_listening(text);
}

Result<Activated> Client::activate(const std::optional<Register>& seen, const Register& target, Call& call) {
  const auto left_s = std::chrono::duration_cast<std::chrono::seconds>(call.remaining()).count();
  // What is left after that is for putting back what nginx did not take.
  const std::int64_t patience_s = std::clamp<std::int64_t>(left_s * 3 / 4, 1, patience_max_s);
  std::vector<std::string> arguments{
      options_.folder,
      text_or_blank(seen),
      to_text(target),
      target.txn,
      "v" + std::to_string(target.version) + "-" + target.txn + "-" + sha256_hex(target.writer).substr(0, 12),
      options_.pid_file,
      "UNASKED",
      std::to_string(patience_s)};
  constexpr std::size_t served_at = 6;
  const auto reload = nginx_command({"-s", "reload", "-c", options_.config});
  arguments.insert(arguments.end(), reload.begin(), reload.end());
  K4T_ASSIGN(auto text, run(scripts::activate, arguments, {}, call));
  if (text == "served?\n") {
    arguments[served_at] = served_text(call);
    K4T_ASSIGN(text, run(scripts::activate, std::move(arguments), {}, call));
  }
  const auto line_end = text.find('\n');
  const auto at = register_from_text(text.substr(0, line_end));
  if (!at || line_end == std::string::npos) {
    return Error{Status::unavailable, "nginx's host did not answer what was asked", text.substr(0, 2000)};
  }
  return Activated{*at, text.substr(line_end + 1, text.find('\n', line_end + 1) - line_end - 1)};
}

Result<void> Client::discard(const std::string& txn, Call& call) {
  const auto done = run(scripts::discard, {options_.folder, txn}, {}, call);
  if (!done) return done.error();
  return {};
}

}  // namespace k4t::nginx
