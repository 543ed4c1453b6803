#include "haproxy_driver.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "k4t/gateway_rules.hpp"
#include "syntax.hpp"

namespace k4t::haproxy {
namespace {

constexpr std::string_view applying = "applying/";

std::string text_of(const std::optional<Register>& at) {
  if (!at) return "BLANK";
  return "version " + std::to_string(at->version) + ", txn " + at->txn + ", writer " + at->writer + ", cluster " +
         at->cluster;
}

Error conflict(const std::optional<Register>& there, const std::optional<Register>& seen) {
  return {Status::conflict,
          "the register is not the one that was seen: it is " + text_of(there) + "; seen was " + text_of(seen),
          there ? Json(*there).dump() : std::string()};
}

Error foreign_file(const std::string& file) {
  return {Status::invalid_argument,
          "'" + file + "' holds configuration that k4t did not write: move it to another file and empty this one",
          {}};
}

/// Why the content is not known to be what the register says, with the verdict; the first reason that applies.
std::pair<Content, std::string> judge_content(const StoredFile& file, const std::optional<Marker>& served,
                                              const Process& process) {
  if (file.kind == FileKind::foreign) return {Content::drifted, "the file holds configuration that k4t did not write"};
  if (file.kind == FileKind::ours && !file.intact) return {Content::drifted, "the file was edited by hand"};
  if (file.kind == FileKind::blank) {
    if (process.variable) return {Content::unknown, "the file is gone, the running process still has an earlier one"};
    return {Content::clean, {}};
  }
  if (!served || served->at != file.marker.at) return {Content::unknown, "the running process serves something else"};
  if (served->digest != file.marker.digest) return {Content::drifted, "the running process read an edited file"};
  if (!served->runtime && !process.read_this_file) {
    return {Content::unknown, "the file was touched after the running process had read it"};
  }
  if (auto what = difference(layout_of(file.body), process.servers); !what.empty()) return {Content::drifted, what};
  for (const auto& row : process.stat) {
    if (row.name == "FRONTEND" && row.status != "OPEN") {
      return {Content::drifted, "frontend " + row.proxy + " is " + row.status};
    }
  }
  return {Content::clean, {}};
}

/// The address and the port of a bind word "ADDRESS:PORT".
Listening socket_of(const std::string& bind) {
  auto found = parse_ss("LISTEN 0 0 " + bind + " *:*\n");
  return found.empty() ? Listening{} : found.front();
}

/// Who holds a socket that `wanted` needs and `own` does not have; empty: nobody.
std::string holder(const Layout& wanted, const std::set<std::string>& own, const std::vector<Listening>& all) {
  for (const auto& bind : wanted.binds) {
    if (own.contains(bind)) continue;
    const Listening need = socket_of(bind);
    for (const auto& other : all) {
      if (!collides(need.address, need.port, other)) continue;
      return bind + " is held by " + (other.program.empty() ? "another program" : "'" + other.program + "'") + " (on " +
             gateway::socket_text(other.address, other.port) + ")";
    }
  }
  return {};
}

bool needs_none_besides(const Layout& wanted, const std::set<std::string>& own) {
  return std::all_of(wanted.binds.begin(), wanted.binds.end(), [&](const auto& bind) { return own.contains(bind); });
}

std::set<std::string> binds_of(const StoredFile& file) {
  const auto layout = layout_of(file.body);
  return {layout.binds.begin(), layout.binds.end()};
}

/// How to come from what was seen to the staged text, whose head has the register of the target.
Replacement replacement_of(const Sight& sight, const Observation& seen, const std::string& text) {
  const StoredFile staged = parse_file(text);
  Replacement replacement;
  replacement.old_file = replacement.fallback = sight.file;
  replacement.new_file = text;
  replacement.text = marker_text(staged.marker);
  replacement.stage = stage_name(staged.marker.at.txn);
  if (!seen.stored || seen.content != Content::clean || seen.half) return replacement;
  const StoredFile file = parse_file(sight.file);
  replacement.vouched = marker_text(file.marker);
  replacement.worker_pid = sight.process->worker_pid;
  replacement.batch =
      plan_batch(layout_of(file.body), layout_of(staged.body), sight.process->servers, sight.process->worker_pid);
  return replacement;
}

/// Makes served what `text`, already in the file, says: by a reload.
Replacement reload_of(const std::string& text, const std::string& fallback) {
  const Marker marker = parse_file(text).marker;
  Replacement replacement;
  replacement.old_file = replacement.new_file = text;
  replacement.fallback = fallback;
  replacement.text = marker_text(marker);
  replacement.stage = stage_name(marker.at.txn);
  return replacement;
}

}  // namespace

Observation judge(const Sight& sight) {
  const StoredFile file = parse_file(sight.file);
  const Process& process = *sight.process;
  Observation seen;
  if (file.kind == FileKind::ours) seen.stored = file.marker.at;
  std::optional<Marker> served;
  if (process.variable) served = parse_marker(*process.variable);
  if (served) seen.served = served->at;
  seen.half = seen.stored != seen.served || (process.variable && !served);
  seen.staged = sight.staged;
  std::tie(seen.content, seen.detail) = judge_content(file, served, process);
  if (process.variable && process.variable->starts_with(applying)) {
    seen.detail = "a change of servers in the running process has begun and not ended";
  }
  return seen;
}

Error HaproxyDriver::not_answering(const Sight& sight) const {
  const Paths& paths = client_.paths();
  return {Status::unavailable,
          "HAProxy's master does not answer on '" + paths.master_socket + "' (" + sight.down +
              "): start HAProxy with -W -S " + paths.master_socket + " and -f " + paths.file + " behind its own files",
          {}};
}

Result<Sight> HaproxyDriver::look(const Call& call) {
  K4T_ASSIGN(Sight sight, client_.look(call));
  if (!sight.process) return not_answering(sight);
  return sight;
}

Result<Observation> HaproxyDriver::observe(const gateway::ObserveRequest& /*request*/, Call& call) {
  K4T_ASSIGN(const Sight sight, look(call));
  return judge(sight);
}

Result<void> HaproxyDriver::check_ports(const Layout& wanted, const Sight& sight, const Call& call) {
  auto own = binds_of(parse_file(sight.file));
  // Where a commit is half done the running process still listens where the earlier file says.
  if (judge(sight).half) own.merge(binds_of(parse_file(sight.previous)));
  if (needs_none_besides(wanted, own)) return {};
  K4T_ASSIGN(const auto all, client_.listening(call));
  const std::string taken = holder(wanted, own, all);
  if (taken.empty()) return {};
  return Error{Status::invalid_argument, taken + ": choose another port or end that program", {}};
}

Result<Nothing> HaproxyDriver::prepare(const gateway::PrepareRequest& request, Call& call) {
  planned_.reset();
  K4T_TRY(check_register(request.target));
  K4T_TRY(gateway::check_rules(request.state));
  K4T_ASSIGN(const Sight sight, look(call));
  if (parse_file(sight.file).kind == FileKind::foreign) return foreign_file(client_.paths().file);
  const Observation seen = judge(sight);
  if (seen.stored != request.seen) return conflict(seen.stored, request.seen);
  const std::string body = render(request.state, placement_);
  K4T_TRY(check_ports(layout_of(body), sight, call));
  const std::string text = compose(request.target, body);
  K4T_TRY(client_.put_stage(request.target.txn, text, call));
  if (auto checked = client_.check(client_.paths().stage(request.target.txn), call); !checked) {
    // A refused stage must not be there to be committed.
    K4T_TRY(client_.remove_stage(request.target.txn, call));
    return checked.error();
  }
  Replacement replacement = replacement_of(sight, seen, text);
  replacement.planned = true;
  if (replacement.worker_pid != 0) planned_ = {{request.seen, request.target}, std::move(replacement)};
  return Nothing{};
}

Result<CommitReply> HaproxyDriver::commit(const CommitRequest& request, Call& call) {
  K4T_TRY(check_register(request.target));
  const auto planned = std::exchange(planned_, std::nullopt);
  if (planned && planned->request.seen == request.seen && planned->request.target == request.target) {
    K4T_ASSIGN(const Replaced replaced, client_.replace(planned->replacement, call));
    // Something is not what it was, nothing changed: what that means only a look can tell.
    if (replaced.outcome != Outcome::conflict && replaced.outcome != Outcome::moved) {
      return conclude(replaced, planned->replacement, request.target, call);
    }
  }
  return commit_after_look(request, call);
}

Result<CommitReply> HaproxyDriver::commit_after_look(const CommitRequest& request, const Call& call) {
  K4T_ASSIGN(const Sight sight, look(call));
  const StoredFile file = parse_file(sight.file);
  const Observation seen = judge(sight);
  const bool at_target = seen.stored && seen.stored->txn == request.target.txn &&
                         seen.stored->version == request.target.version &&
                         seen.stored->cluster == request.target.cluster;
  if (at_target && seen.content == Content::clean && !seen.half) {
    return CommitReply{"worker " + std::to_string(sight.process->worker_pid) + " serves it already"};
  }
  if (at_target && file.intact && seen.half) {
    const auto earlier = parse_file(sight.previous);
    const bool served = earlier.kind == FileKind::ours ? seen.served == earlier.marker.at : !sight.process->variable;
    const std::string& fallback = earlier.kind != FileKind::foreign && served ? sight.previous : sight.file;
    return finish(reload_of(sight.file, fallback), *seen.stored, call);
  }
  if (file.kind == FileKind::foreign) return foreign_file(client_.paths().file);
  if (seen.stored != request.seen) return conflict(seen.stored, request.seen);

  K4T_ASSIGN(const std::string stage, client_.read_stage(request.target.txn, call));
  const StoredFile staged = parse_file(stage);
  if (!staged.intact || staged.marker.at.txn != request.target.txn ||
      staged.marker.at.version != request.target.version || staged.marker.at.cluster != request.target.cluster) {
    return Error{Status::not_found, "txn " + request.target.txn + " is not staged: prepare it again", {}};
  }
  return finish(replacement_of(sight, seen, compose(request.target, staged.body)), request.target, call);
}

Result<CommitReply> HaproxyDriver::finish(const Replacement& replacement, const Register& target, const Call& call) {
  K4T_ASSIGN(const Replaced replaced, client_.replace(replacement, call));
  if (replaced.outcome != Outcome::moved || replacement.worker_pid == 0) {
    return conclude(replaced, replacement, target, call);
  }
  // Another process serves since the look, of which nothing is known: a new one settles it.
  Replacement anyhow = replacement;
  anyhow.worker_pid = 0;
  anyhow.batch.reset();
  anyhow.vouched.clear();
  return finish(anyhow, target, call);
}

Result<CommitReply> HaproxyDriver::conclude(const Replaced& replaced, const Replacement& replacement,
                                            const Register& target, const Call& call) {
  switch (replaced.outcome) {
    case Outcome::conflict:
      return Error{Status::conflict, "'" + client_.paths().file + "' was changed by someone else meanwhile", {}};
    case Outcome::busy: return Error{Status::busy, "another program is changing HAProxy's file: try again", {}};
    case Outcome::undecided:
      return Error{Status::deadline, "HAProxy gave no verdict on the reload in time: observe", {}};
    case Outcome::restored: return failed_reload(replacement, call);
    case Outcome::moved: return Error{Status::unavailable, "HAProxy was reloaded by someone else: try again", {}};
    case Outcome::runtime:
    case Outcome::reload: break;
  }
  return prove(replaced, replacement, target, call);
}

Result<CommitReply> HaproxyDriver::prove(const Replaced& replaced, const Replacement& replacement,
                                         const Register& target, const Call& call) {
  if (!replaced.sight.process) return not_answering(replaced.sight);
  const Observation now = judge(replaced.sight);
  if (now.stored == target && now.served == target && now.content == Content::clean && !now.half) {
    const std::string how = replaced.outcome == Outcome::runtime ? " without a reload" : " since a reload";
    return CommitReply{"worker " + std::to_string(replaced.sight.process->worker_pid) + " answers version " +
                       std::to_string(target.version) + how};
  }
  if (replaced.outcome == Outcome::runtime && now.stored == target) {
    // The process took every command and is still not what the file says: a new process settles it. The file stays.
    return finish(reload_of(replacement.new_file, replacement.new_file), target, call);
  }
  return Error{Status::unavailable, "HAProxy does not serve what was committed: observe", now.detail};
}

/// The old file is back; what stood in the way is looked for here, because HAProxy tells it to its log alone.
Error HaproxyDriver::failed_reload(const Replacement& replacement, const Call& call) {
  const bool back = replacement.fallback != replacement.new_file;
  const std::string then = back ? "; the earlier file is back and is served on" : "; the earlier process serves on";
  const auto wanted = layout_of(parse_file(replacement.new_file).body);
  if (const auto all = client_.listening(call)) {
    const std::string taken = holder(wanted, binds_of(parse_file(replacement.fallback)), *all);
    if (!taken.empty()) {
      return {Status::unavailable, "HAProxy could not reload: " + taken + then + ". Free the port and try again", {}};
    }
  }
  const auto checked =
      client_.check(back ? client_.paths().work() + "/" + replacement.stage : client_.paths().file, call);
  return {Status::unavailable, "HAProxy could not reload" + then + ". HAProxy's log tells why",
          checked ? std::string() : checked.error().detail};
}

Result<Nothing> HaproxyDriver::abort(const AbortRequest& request, Call& call) {
  // What can be no file's name was never staged.
  if (!is_plain(request.txn)) return Nothing{};
  if (planned_ && planned_->request.target.txn == request.txn) planned_.reset();
  K4T_TRY(client_.remove_stage(request.txn, call));
  return Nothing{};
}

Result<gateway::ConnectionsReply> HaproxyDriver::connections(const gateway::ConnectionsRequest& request, Call& call) {
  auto rows = client_.sessions(call);
  if (!rows) return rows.error().within("connections per endpoint are not known");
  std::map<std::string, std::uint64_t> counts;
  for (const auto& row : *rows) counts[row.name] += row.sessions;
  gateway::ConnectionsReply reply;
  for (const auto& endpoint : request.endpoints) reply.counts.push_back({endpoint, counts[server_name(endpoint)]});
  return reply;
}

}  // namespace k4t::haproxy
