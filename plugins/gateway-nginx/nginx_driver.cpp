#include "nginx_driver.hpp"

#include <algorithm>
#include <set>

#include "k4t/gateway_rules.hpp"

namespace k4t::nginx {
namespace {

// How exactly a snapshot knows when a worker began.
constexpr std::int64_t start_tolerance_s = 2;

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& text : texts) all += (all.empty() ? "" : "; ") + text;
  return all;
}

Result<void> check_readable(const Snapshot& now, const Options& options) {
  if (now.folder == Snapshot::Folder::unreadable) {
    return Error{Status::unavailable, "the folder " + options.folder + " cannot be read: give k4t's user the right to",
                 joined(now.damage)};
  }
  if ((now.has_live && !now.stored()) || (!now.has_live && !now.damage.empty())) {
    return Error{Status::unavailable,
                 "the register in " + options.folder +
                     "/live cannot be read: restore the first lines of its files, or "
                     "remove the link 'live', reload nginx and let k4t write it anew",
                 joined(now.damage)};
  }
  return {};
}

Result<void> check_alive(const Snapshot& now, const Options& options) {
  if (now.master_alive) return {};
  if (now.master_pid == 0) {
    return Error{
        Status::unavailable, "nginx does not run: there is no pid in " + options.pid_file + "; start nginx", {}};
  }
  return Error{
      Status::unavailable,
      "nginx's master process " + std::to_string(now.master_pid) +
          " is dead: its workers may go on serving, but nothing can be changed; end them and start nginx again",
      {}};
}

/// A file that was changed after the workers began, and back, is not proved to be what they serve.
bool changed_since_start(const Snapshot& now) {
  for (const auto& worker : now.workers) {
    if (!worker.retiring && now.changed_s > worker.started_s + start_tolerance_s) return true;
  }
  return false;
}

void judge_content(const Snapshot& now, Observation& into) {
  if (now.has_live && !now.intact()) {
    into.content = Content::drifted;
    into.detail = "somebody changed " + std::string(now.http.intact() ? "stream.conf" : "http.conf") +
                  " by hand: its digest is not that of its first line";
    if (!now.damage.empty()) into.detail += "; " + joined(now.damage);
  } else if (into.half) {
    into.content = Content::clean;
    into.detail = "the file and the running nginx hold different versions: a commit has begun and not ended";
  } else if (changed_since_start(now)) {
    into.content = Content::unknown;
    into.detail = "the live files were touched after nginx's workers began";
  } else {
    into.content = Content::clean;
  }
}

Own own_of(const Snapshot& now) {
  Own own{{now.master_pid}, {}};
  for (const auto& worker : now.workers) own.pids.insert(worker.pid);
  return own;
}

bool has_tcp(const gateway::State& state) {
  return std::any_of(state.listeners.begin(), state.listeners.end(),
                     [](const auto& listener) { return listener.protocol == gateway::Protocol::tcp; });
}

}  // namespace

Manifest manifest() {
  namespace capability = gateway::capability;
  Manifest manifest;
  manifest.name = "nginx";
  manifest.version = "0.1.0";
  manifest.summary = "nginx 1.22 and later: HTTP and TCP, passive health checks";
  manifest.capabilities = {capability::http,
                           capability::tcp,
                           capability::balance_round_robin,
                           capability::balance_least_connections,
                           capability::balance_source_hash,
                           capability::health_passive,
                           capability::rate_limit,
                           capability::connection_limit,
                           capability::endpoint_connections};
  manifest.options_schema = options_schema();
  return manifest;
}

Result<std::unique_ptr<gateway::Driver>> open_driver(const OpenRequest& request, Call& /*call*/) {
  K4T_ASSIGN(const Options options, read_options(request));
  K4T_ASSIGN(auto host, transport::open_host(options.host, options.ssh));
  return std::unique_ptr<gateway::Driver>(std::make_unique<NginxDriver>(std::move(host), options));
}

NginxDriver::NginxDriver(std::shared_ptr<transport::Host> host, const Options& options)
    : client_(std::move(host), options), options_(options) {}

Result<Snapshot> NginxDriver::look_alive(Call& call) {
  K4T_ASSIGN(auto now, client_.look(call));
  K4T_TRY(check_alive(now, options_));
  K4T_TRY(check_readable(now, options_));
  return now;
}

Result<Observation> NginxDriver::observe(const gateway::ObserveRequest& /*request*/, Call& call) {
  K4T_ASSIGN(const auto now, look_alive(call));
  Observation observation;
  observation.stored = now.stored();
  K4T_ASSIGN(observation.served, client_.served(now, call));
  observation.half = observation.stored != observation.served;
  observation.staged = now.staged;
  judge_content(now, observation);
  return observation;
}

Result<void> NginxDriver::check_sockets(const gateway::State& state, const Listening& now, Call& call) {
  const auto wanted = sockets_of(state, options_.placement());
  Own own{now.own_pids, {}};
  if (needs_listens(wanted, now.sockets)) {
    K4T_ASSIGN(own.listens, client_.live_listens(call));
  }
  return check_free(wanted, now.sockets, own);
}

Result<Nothing> NginxDriver::prepare(const gateway::PrepareRequest& request, Call& call) {
  K4T_TRY(check_register(request.target));
  K4T_TRY(validate(request.state, options_.placement()));
  const Files files = render(request.target, request.state, options_.placement());
  K4T_ASSIGN(const auto listening, client_.stage(request.seen, request.target, files, has_tcp(request.state), call));
  const auto is_free = check_sockets(request.state, listening, call);
  if (is_free) return Nothing{};
  // What is refused is not staged. A stage that stays all the same is one that nobody commits.
  static_cast<void>(client_.discard(request.target.txn, call));
  return is_free.error();
}

Result<CommitReply> NginxDriver::commit(const CommitRequest& request, Call& call) {
  K4T_TRY(check_register(request.target));
  K4T_ASSIGN(const auto activated, client_.activate(request.seen, request.target, call));
  K4T_ASSIGN(const auto answered, client_.answered(call));
  if (answered != activated.at) {
    return Error{Status::unavailable,
                 "nginx answers the register " + to_text(answered) + " after a reload to " + to_text(activated.at),
                 activated.evidence};
  }
  return CommitReply{"status answers version " + std::to_string(answered.version) + "; " + activated.evidence};
}

Result<Nothing> NginxDriver::abort(const AbortRequest& request, Call& call) {
  K4T_TRY(check_txn(request.txn));
  K4T_TRY(client_.discard(request.txn, call));
  return Nothing{};
}

Result<gateway::ConnectionsReply> NginxDriver::connections(const gateway::ConnectionsRequest& request, Call& call) {
  for (const auto& endpoint : request.endpoints) {
    if (!gateway::is_canonical_address(endpoint.address)) {
      return Error{Status::invalid_argument, "'" + endpoint.address + "' is no address", {}};
    }
  }
  K4T_ASSIGN(const auto now, client_.look(call));
  K4T_TRY(check_alive(now, options_));
  K4T_ASSIGN(const auto established, client_.established(request.endpoints, call));
  gateway::ConnectionsReply reply;
  for (const auto& endpoint : request.endpoints) {
    reply.counts.push_back({endpoint, count_to(endpoint, established, own_of(now))});
  }
  return reply;
}

}  // namespace k4t::nginx
