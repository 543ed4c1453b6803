#include "participant.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace k4t::dnsparticipant {
namespace {

namespace du = k4t::dnsupdate;

constexpr std::size_t staged_limit = 8;        // more than a run prepares before it commits or aborts
constexpr std::size_t drift_names_limit = 10;  // in messages
constexpr int read_attempts = 3;               // for a content that changes while it is read
constexpr int plan_attempts = 3;               // for a zone in which others write under our feet
constexpr std::size_t read_back_limit = 100;   // beyond, the register answers for them; see verify()
constexpr std::size_t sample_size = 10;
constexpr std::size_t id_limit_bytes = 50;

du::Limits limits_of(Call& call) {
  return {std::chrono::steady_clock::now() + call.remaining(), [&call] { return call.cancelled(); }};
}

bool shows(const std::optional<RegisterText>& found, const std::optional<Register>& seen) {
  if (!found || !seen) return !found && !seen;
  return found->at == *seen;
}

/// Whether the register is that of the state that the caller speaks of. Who wrote it there last the caller cannot know.
bool names_state_of(const Register& held, const Register& expected) {
  return held.cluster == expected.cluster && held.version == expected.version && held.txn == expected.txn;
}

std::optional<std::string> text_of(const std::optional<RegisterText>& value) {
  if (!value) return std::nullopt;
  return format(*value);
}

std::set<Key> keys_of(const Records& records) {
  std::set<Key> keys;
  for (const auto& [key, data] : records) keys.insert(key);
  return keys;
}

/// A commit that found no register deletes nothing, and neither does its resumption.
bool keeps_extras(const std::optional<RegisterText>& now, const Register& target) {
  return !now || (now->from == std::uint64_t{0} && now->at.txn == target.txn);
}

}  // namespace

Participant::Participant(Options options)
    : zone_(std::move(options.zone), std::move(options.suffix), options.reading,
            du::Client(std::move(options.endpoint), std::move(options.authenticator))),
      limits_{options.message_limit_bytes, options.names_limit},
      record_set_limit_bytes_(options.record_set_limit_bytes) {}

Error Participant::conflict(const SeenText& found) const {
  return Error{Status::conflict, "the register on DNS server " + zone_.where() + " is not the one that was seen",
               found ? register_name() + " is now '" + format(*found) + "'" : register_name() + " does not exist"};
}

Result<Participant::SeenText> Participant::read_register(const du::Limits& limits) {
  K4T_ASSIGN(const auto text, zone_.read_text(register_name(), limits));
  if (!text) return SeenText();
  auto parsed = parse_register(*text);
  if (!parsed) return parsed.error().within("DNS server " + zone_.where());
  return SeenText(*std::move(parsed));
}

Result<Participant::Drift> Participant::compare(const Records& target, const du::Limits& limits) {
  K4T_ASSIGN(const auto present, zone_.read(keys_of(target), limits));
  Drift found{Content::clean, drift(present.ours, target, drift_names_limit)};
  if (!found.detail.empty()) found.content = Content::drifted;
  if (!present.complete) {
    const bool indexed = !zone_.index_suffix().empty();
    found.detail += std::string(found.detail.empty() ? "" : "; ") +
                    "records that nobody expects cannot be seen, because " +
                    (indexed ? "such servers are not asked for whole zones"
                             : "the server does not allow the configured key to transfer the zone");
  }
  return found;
}

Result<Observation> Participant::observe(const dns::ObserveRequest& request, Call& call) {
  const auto limits = limits_of(call);
  K4T_ASSIGN(auto now, read_register(limits));
  Drift found;
  for (int attempt = 0; attempt < read_attempts; ++attempt) {
    const bool comparable = now && !now->open() && request.expected && names_state_of(now->at, request.expected->at);
    if (!comparable) break;
    K4T_ASSIGN(auto target, render(request.expected->state, zone_.suffix()));
    K4T_ASSIGN(found, compare(target, limits));
    K4T_ASSIGN(const auto after, read_register(limits));
    if (after == now) {
      expected_.emplace(now->at, std::move(target));
      break;
    }
    now = after;
    found = {Content::unknown, "the register changed while the records were read"};
  }
  Observation seen;
  if (now) seen.stored = seen.served = now->at;
  seen.half = now && now->open();
  if (seen.half)
    found.detail = "a commit that replaces version " + std::to_string(*now->from) + " has begun and not ended";
  seen.content = found.content;
  seen.detail = found.detail;
  seen.staged = staged_order_;
  return seen;
}

void Participant::keep(const std::string& txn, Staged staged) {
  std::erase(staged_order_, txn);
  staged_order_.push_back(txn);
  staged_.insert_or_assign(txn, std::move(staged));
  if (staged_order_.size() <= staged_limit) return;
  staged_.erase(staged_order_.front());
  staged_order_.erase(staged_order_.begin());
}

Result<Present> Participant::present_for(const SeenText& now, const Staged& staged, bool only_adds,
                                         const du::Limits& limits) {
  std::set<Key> keys = keys_of(staged.target);
  auto whole = zone_.whole(keys, limits);
  if (whole || whole.status() != Status::unsupported) return whole;
  const bool known = staged.base || (expected_ && now && expected_->first == now->at);
  if (!only_adds && !known) {
    return Error{Status::unavailable,
                 "what the zone " + zone_.zone() + " on DNS server " + zone_.where() + " holds below " +
                     zone_.suffix() + " cannot be read; grant the configured key allow-transfer",
                 whole.error().message};
  }
  if (staged.base) keys.merge(keys_of(*staged.base));
  if (expected_ && now && expected_->first == now->at) keys.merge(keys_of(expected_->second));
  return zone_.look_up(keys, limits);
}

/// Can the target be served here? Reads what is needed for the answer.
Result<void> Participant::check_zone(const SeenText& now, const Staged& staged, const du::Limits& limits) {
  if (now && !now->open() && staged.base) {
    std::set<Key> added;
    for (const auto& [key, data] : staged.target) {
      if (!staged.base->contains(key)) added.insert(key);
    }
    if (added.empty()) return {};
    K4T_ASSIGN(const auto present, zone_.look_up(added, limits));
    return check_place(staged.target, present, false);
  }
  K4T_ASSIGN(const auto present, present_for(now, staged, !now, limits));
  return check_place(staged.target, present, !now);
}

Result<Nothing> Participant::prepare(const dns::PrepareRequest& request, Call& call) {
  const auto limits = limits_of(call);
  const std::string& txn = request.target.txn;
  K4T_TRY(check_register(request.target));
  Staged staged;
  K4T_ASSIGN(staged.target, render(request.state, zone_.suffix()));
  if (request.base) {
    K4T_ASSIGN(staged.base, render(*request.base, zone_.suffix()));
  }
  K4T_TRY(check_sizes(staged.target, record_set_limit_bytes_));
  K4T_ASSIGN(const auto now, read_register(limits));
  if (!shows(now, request.seen)) return conflict(now);
  if (!now || now->open()) staged.base.reset();
  K4T_TRY(check_zone(now, staged, limits));
  du::Update update;
  update.prerequisites = {text_is(register_name(), text_of(now))};
  update.changes = text_becomes(try_name(), txn);
  const auto written = zone_.update(std::move(update), limits);
  if (written.status() == Status::conflict) {
    K4T_ASSIGN(const auto found, read_register(limits));
    return conflict(found);
  }
  K4T_TRY(written);
  keep(txn, std::move(staged));
  return Nothing{};
}

Result<CommitReply> Participant::commit(const CommitRequest& request, Call& call) {
  const auto limits = limits_of(call);
  K4T_TRY(check_register(request.target));
  K4T_ASSIGN(const auto now, read_register(limits));
  const auto staged = staged_.find(request.target.txn);
  const auto committed = committed_.find(request.target.txn);
  const bool at_target = now && !now->open() && now->at.txn == request.target.txn;
  if (at_target) {
    const Records* target = committed != committed_.end() ? &committed->second : nullptr;
    if (staged != staged_.end()) target = &staged->second.target;
    const std::string answers = register_name() + " answers '" + format(*now) + "' on " + zone_.where();
    if (target == nullptr) return CommitReply{answers + ", written together with the records"};
    K4T_ASSIGN(const auto found, compare(*target, limits));
    if (found.content == Content::clean) return CommitReply{answers + ", and the records were read back as written"};
  }
  if (!shows(now, request.seen)) return conflict(now);
  if (staged == staged_.end()) {
    return Error{Status::not_found, "the transaction " + request.target.txn + " is not staged; prepare it again", {}};
  }
  return replace(now, request.target, staged->second, at_target || !staged->second.base, call);
}

Room Participant::room() const {
  // Each chunk also carries the register twice (prerequisite, value), its deletion and that of the staged txn.
  constexpr std::size_t records = 4;
  constexpr std::size_t fixed_bytes = 32;
  constexpr std::size_t text_bytes = 256;
  const std::size_t own =
      du::envelope_bytes(zone_.zone()) + records * (fixed_bytes + zone_.suffix().size()) + 2 * text_bytes;
  // The register and the staged txn are two more names.
  return {limits_.bytes > own ? limits_.bytes - own : 1, limits_.names > 2 ? limits_.names - 2 : 1};
}

Result<std::vector<Step>> Participant::plan(const SeenText& now, const Register& target, const Staged& staged,
                                            bool in_full, const du::Limits& limits) {
  const DifferenceOptions options{!keeps_extras(now, target), !now, zone_.index_suffix()};
  if (!in_full) return difference(*staged.base, staged.target, options);
  K4T_ASSIGN(const auto present, present_for(now, staged, !options.remove_extras, limits));
  K4T_TRY(check_place(staged.target, present, !now));
  return difference(present.ours, staged.target, options);
}

Result<Zone::Written> Participant::write(SeenText& now, const Register& target, std::vector<Step>& steps, Call& call) {
  const auto cut = chunks(steps, room());
  const std::uint64_t from = !now ? 0 : now->from.value_or(now->at.version);
  std::uint32_t chunk = now && now->at == target ? now->chunk : 0;
  for (std::size_t i = 0; i < cut.size(); ++i) {
    RegisterText next{target, {}, 0};
    du::Update update;
    if (i + 1 < cut.size()) {
      next.from = from;
      next.chunk = ++chunk;
    } else {
      update.changes = text_becomes(try_name(), std::nullopt);
    }
    for (auto& step : cut[i]) {
      std::ranges::move(step.prerequisites, std::back_inserter(update.prerequisites));
      std::ranges::move(step.changes, std::back_inserter(update.changes));
    }
    K4T_ASSIGN(const auto written,
               zone_.swap_text(std::move(update), register_name(), text_of(now), format(next), limits_of(call)));
    if (written == Zone::Written::blocked) return written;
    now = next;
    call.progress({"commit", zone_.suffix(), i + 1, cut.size(), "messages"});
  }
  return Zone::Written::done;
}

Result<CommitReply> Participant::replace(SeenText now, const Register& target, Staged& staged, bool in_full,
                                         Call& call) {
  const auto limits = limits_of(call);
  for (int attempt = 0; attempt < plan_attempts; ++attempt) {
    // What blocked the first attempt is not in the base: look at the zone itself.
    const bool reads_zone = in_full || attempt > 0 || !now || now->open();
    K4T_ASSIGN(auto steps, plan(now, target, staged, reads_zone, limits));
    K4T_ASSIGN(const auto written, write(now, target, steps, call));
    if (written == Zone::Written::blocked) continue;
    committed_.clear();
    committed_.emplace(target.txn, std::move(staged.target));
    std::erase(staged_order_, target.txn);
    staged_.erase(target.txn);
    K4T_ASSIGN(const std::size_t read, verify(target, steps, limits));
    const std::string of = read < steps.size() ? std::to_string(read) + " of " : std::string();
    return CommitReply{register_name() + " answers version " + std::to_string(target.version) + " on " + zone_.where() +
                       ", and " + of + std::to_string(steps.size()) + " changed record sets were read back as written"};
  }
  return Error{Status::busy,
               "somebody else keeps writing records below " + zone_.suffix() + " on DNS server " + zone_.where(),
               {}};
}

Result<void> Participant::check_served(const Step& step, const Records& answered) const {
  const auto found = answered.find(step.key);
  const Error other{Status::unavailable,
                    "DNS server " + zone_.where() + " does not answer " + describe(step.key) +
                        " as it was committed; observe it again",
                    {}};
  if (step.put) return found != answered.end() && found->second == *step.put ? Result<void>() : other;
  if (found == answered.end()) return {};
  // A wildcard may answer now; the removed values themselves must be gone.
  const auto& now = found->second.rdatas;
  const bool gone = std::ranges::none_of(step.removed, [&](const auto& rdata) { return now.contains(rdata); });
  return gone ? Result<void>() : other;
}

/// A server replaces the records of a message together with the register, all or nothing, and drops an addition
/// silently only where a CNAME is in its way, which each message requires to be absent or deletes. So a register that
/// answers the target vouches for all of them; they are read back to see that the server answers what it took: all
/// where they are few, else some from all over, because hundreds of answers cost the server as much as the change
/// itself.
Result<std::size_t> Participant::verify(const Register& target, const std::vector<Step>& steps,
                                        const du::Limits& limits) {
  const std::size_t wanted = steps.size() <= read_back_limit ? steps.size() : sample_size;
  // The last of each share.
  const auto sample = [&](std::size_t i) -> const Step& { return steps[(i + 1) * steps.size() / wanted - 1]; };
  std::set<Key> keys;
  for (std::size_t i = 0; i < wanted; ++i) keys.insert(sample(i).key);
  K4T_ASSIGN(const auto answered, zone_.answered(keys, limits));
  for (std::size_t i = 0; i < wanted; ++i) K4T_TRY(check_served(sample(i), answered));
  K4T_ASSIGN(const auto now, read_register(limits));
  if (now && !now->open() && now->at == target) return wanted;
  return conflict(now);
}

Result<Nothing> Participant::abort(const AbortRequest& request, Call& call) {
  K4T_TRY(check_register({"any", 0, request.txn, "any"}));
  std::erase(staged_order_, request.txn);
  staged_.erase(request.txn);
  du::Update update;
  update.prerequisites = {text_is(try_name(), request.txn)};
  update.changes = text_becomes(try_name(), std::nullopt);
  const auto written = zone_.update(std::move(update), limits_of(call));
  if (!written && written.status() != Status::conflict) return written.error();
  return Nothing{};
}

Result<std::string> Participant::witness_name(const std::string& suffix, const std::string& id) const {
  const bool plain = !id.empty() && id.size() <= id_limit_bytes &&
                     id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  if (!plain)
    return Error{
        Status::invalid_argument, "the witness id '" + id + "' has other characters than a-z, 0-9 and '-'", {}};
  if (suffix != zone_.suffix()) {
    return Error{Status::invalid_argument, "the suffix is " + suffix + ", this server's is " + zone_.suffix(), {}};
  }
  return "_k4t-w-" + id + "." + suffix;
}

Result<dns::WitnessValue> Participant::witness_read(const dns::WitnessReadRequest& request, Call& call) {
  K4T_ASSIGN(const auto name, witness_name(request.suffix, request.id));
  K4T_ASSIGN(auto text, zone_.read_text(name, limits_of(call)));
  return dns::WitnessValue{std::move(text)};
}

Result<Nothing> Participant::witness_swap(const dns::WitnessSwapRequest& request, Call& call) {
  K4T_ASSIGN(const auto name, witness_name(request.suffix, request.id));
  for (const auto& text : {request.expected, request.text}) {
    if (text) K4T_TRY(du::make_rdata(du::type::txt, *text));
  }
  K4T_ASSIGN(const auto written, zone_.swap_text({}, name, request.expected, request.text, limits_of(call)));
  if (written == Zone::Written::done) return Nothing{};
  return Error{Status::busy, name + " changed and changed back while it was written", {}};
}

Result<std::string> zone_of(const OpenRequest& request, const std::optional<std::string>& zone) {
  std::string found = zone.value_or(request.domain);
  K4T_TRY(du::check_name(found));
  if (request.domain.empty() || !at_or_below(request.domain, found)) {
    return Error{Status::invalid_argument,
                 "DNS server " + request.name + ": the cluster's domain '" + request.domain +
                     "' is not at or below the zone '" + found + "'; correct the option zone",
                 {}};
  }
  // The longest name that k4t writes itself must fit below the suffix.
  K4T_TRY(du::check_name("_k4t-try." + request.domain));
  return found;
}

std::unique_ptr<dns::Driver> make_driver(Options options) { return std::make_unique<Participant>(std::move(options)); }

}  // namespace k4t::dnsparticipant
