#include "drivers/witness_file.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace k4t::drivers {
namespace {

/// How often a decision is made again because another master swapped first.
constexpr int kAttempts = 16;
constexpr unsigned kMode = 0600;
/// Leaves room to count on: a damaged register must not use up all epochs.
constexpr std::uint64_t kHighestCounter = 1ULL << 62;
constexpr std::string_view kRegisterPrefix = "k4t-witness-";
constexpr std::string_view kRecordPrefix = "k4t-record-";
constexpr std::string_view kSuffix = ".json";

// Ids and txns become file names, and both can come from a record that somebody else wrote.
bool is_plain(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool has_form(std::string_view name, std::string_view prefix) {
  return name.size() > prefix.size() + kSuffix.size() && name.starts_with(prefix) && name.ends_with(kSuffix);
}

template <class T>
Result<T> parse(const std::string& text, const std::string& path) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  Result<T> value = json.is_object() ? decode<T>(json) : Error{Status::fatal, "not a JSON object", {}};
  if (value) return value;
  return Error{Status::fatal, path + " is damaged and was left as it is: " + value.error().message,
               text.substr(0, 200)};
}

/// The record in the last line of a register or of a file that was one.
Result<model::Record> record_in(std::string_view text, const std::string& txn, const std::string& path) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  K4T_ASSIGN(auto record, parse<model::Record>(std::string(text.substr(text.rfind('\n') + 1)), path));
  if (record.txn == txn && model::is_authentic(record)) return record;
  return Error{Status::fatal, path + " is damaged: its content does not have the name of record " + txn, {}};
}

Error blank(const std::string& path) {
  return {Status::not_found, "there is no register at " + path + ": this witness has forgotten what it promised", {}};
}

Error out_of_attempts(const std::string& path) {
  return {Status::busy, "other masters keep changing " + path + ": try again", {}};
}

bool held_by_another_host(const model::WitnessRegister& now, const txn::ClaimRequest& request) {
  return now.open && now.promised.run != request.epoch.run &&
         txn::holder_host(now.holder) != txn::holder_host(request.holder);
}

}  // namespace

class FileWitness::Patience {
 public:
  explicit Patience(const CallOptions& options)
      : until_(std::chrono::steady_clock::now() + options.timeout), sink_(options.sink) {}

  [[nodiscard]] transport::Limits limits() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - std::chrono::steady_clock::now());
    transport::Limits limits;
    limits.timeout = std::max(left, std::chrono::milliseconds(0));
    if (sink_ != nullptr) limits.cancelled = [sink = sink_] { return sink->cancelled(); };
    return limits;
  }
  /// DEADLINE where no time is left for a next step.
  [[nodiscard]] Result<void> check(const std::string& path) const {
    if (std::chrono::steady_clock::now() < until_ && (sink_ == nullptr || !sink_->cancelled())) return {};
    return Error{Status::deadline, "no time was left for the witness at " + path, {}};
  }

 private:
  std::chrono::steady_clock::time_point until_;
  CallSink* sink_;
};

FileWitness::FileWitness(std::shared_ptr<transport::Host> host, std::string cluster, model::Witness where)
    : host_(std::move(host)), cluster_(std::move(cluster)), where_(std::move(where)) {}

std::string FileWitness::register_path() const {
  return where_.path + "/" + std::string(kRegisterPrefix) + where_.id + std::string(kSuffix);
}

std::string FileWitness::record_path(const std::string& txn) const {
  return where_.path + "/" + std::string(kRecordPrefix) + txn + std::string(kSuffix);
}

Result<void> FileWitness::check_place() const {
  if (is_plain(where_.id) && where_.path.starts_with('/')) return {};
  return Error{Status::invalid_argument,
               "witness '" + where_.id + "' needs an id of lower-case letters, digits and '-' and an absolute folder",
               {}};
}

Result<FileWitness::Held> FileWitness::understand(std::string text) const {
  const std::string path = register_path();
  const auto line_end = text.find('\n');
  const bool has_record = line_end != std::string::npos && line_end + 1 < text.size();
  K4T_ASSIGN(auto now, parse<model::WitnessRegister>(text.substr(0, line_end), path));
  if (now.cluster != cluster_ || now.id != where_.id || now.promised.run.empty()) {
    return Error{Status::fatal,
                 path + " is the register of witness '" + now.id + "' of cluster '" + now.cluster + "', not of '" +
                     where_.id + "' of '" + cluster_ + "'",
                 {}};
  }
  if (now.promised.counter > kHighestCounter) {
    return Error{Status::fatal, path + " promises an epoch that no run can have reached", {}};
  }
  if (has_record && !now.vote) {
    return Error{Status::fatal, path + " is damaged and was left as it is: it has a record without a vote", {}};
  }
  return Held{std::move(text), std::move(now), has_record};
}

Result<std::optional<FileWitness::Held>> FileWitness::read(const Patience& patience) {
  K4T_TRY(check_place());
  K4T_TRY(patience.check(register_path()));
  auto text = host_->read_file(register_path(), patience.limits());
  if (text.status() == Status::not_found) return std::optional<Held>();
  if (!text) return text.error();
  K4T_ASSIGN(auto held, understand(*std::move(text)));
  memory_->set(held);
  return std::optional<Held>(std::move(held));
}

Result<void> FileWitness::swap(const std::optional<Held>& held, const Decision& decision, const Patience& patience) {
  K4T_TRY(patience.check(register_path()));
  if (!held) K4T_TRY(host_->make_folder(where_.path, 0700, patience.limits()));
  std::string text = Json(decision.now).dump() + "\n";
  if (decision.record != nullptr) text += Json(*decision.record).dump() + "\n";
  std::optional<std::string> expected;
  std::string keep_as;
  if (held) {
    expected = held->text;
    const bool repeats = decision.record != nullptr && held->has_record && decision.record->txn == held->now.vote->txn;
    if (held->has_record && !repeats) keep_as = record_path(held->now.vote->txn);
  }
  K4T_TRY(host_->swap_file(register_path(), expected, text, kMode, patience.limits(), keep_as));
  memory_->set({std::move(text), decision.now, decision.record != nullptr});
  return {};
}

Result<txn::WitnessAnswer> FileWitness::change(const Decide& decide, const Patience& patience) {
  K4T_TRY(check_place());
  std::optional<Held> held = memory_->get();
  bool is_fresh = !held;
  if (is_fresh) {
    K4T_ASSIGN(held, read(patience));
  }
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto decision = decide(held);
    if (!is_fresh && (!decision || !decision->writes)) {
      // Only a swap proves that what is remembered is still there.
      K4T_ASSIGN(held, read(patience));
      is_fresh = true;
      continue;
    }
    if (!decision) return decision.error();
    if (!decision->writes) return txn::WitnessAnswer{decision->granted, decision->now};
    const auto swapped = swap(held, *decision, patience);
    if (swapped) return txn::WitnessAnswer{decision->granted, decision->now};
    if (swapped.status() != Status::conflict) return swapped.error();
    is_fresh = true;
    if (swapped.error().detail.empty()) {
      K4T_ASSIGN(held, read(patience));
    } else {
      K4T_ASSIGN(held, understand(swapped.error().detail));
    }
  }
  return out_of_attempts(register_path());
}

Result<txn::WitnessAnswer> FileWitness::claim(const txn::ClaimRequest& request, const CallOptions& options) {
  const auto decide = [&](const std::optional<Held>& held) -> Result<Decision> {
    if (!held && !request.initialise) return blank(register_path());
    Decision decision{true, true, {cluster_, where_.id, {}, {}, false, {}}, nullptr};
    if (held) decision.now = held->now;
    if (!request.take_over && held_by_another_host(decision.now, request)) {
      return Error{Status::busy, "another host's claim is open: " + decision.now.holder + "; --take-over ends it", {}};
    }
    if (request.epoch < decision.now.promised) return Decision{false, false, decision.now, nullptr};
    decision.now.promised = request.epoch;
    decision.now.holder = request.holder;
    decision.now.open = true;
    return decision;
  };
  return change(decide, Patience(options));
}

Result<txn::WitnessAnswer> FileWitness::vote(const model::Epoch& epoch, const model::Record& record,
                                             const CallOptions& options) {
  if (!is_plain(record.txn) || !model::is_authentic(record)) {
    return Error{Status::invalid_argument, "the record to vote for does not have the name of its content", {}};
  }
  const model::Vote vote{epoch, record.version, record.txn};
  const auto decide = [&](const std::optional<Held>& held) -> Result<Decision> {
    if (!held) return blank(register_path());
    Decision decision{true, true, held->now, &record};
    model::WitnessRegister& next = decision.now;
    const bool same_epoch = next.vote && next.vote->epoch == epoch;
    if (epoch < next.promised || (same_epoch && next.vote->version > vote.version)) {
      return Decision{false, false, next, nullptr};
    }
    if (same_epoch && next.vote->version == vote.version && next.vote->txn != vote.txn) {
      return Error{
          Status::fatal, "one run asked witness " + where_.id + " to vote for two contents of one version", {}};
    }
    if (next.vote == vote) return Decision{true, false, next, nullptr};
    if (next.promised != epoch) {
      next.holder = "run " + epoch.run;  // it never claimed here, so that nobody said who it is
      next.open = false;
    }
    next.promised = epoch;
    next.vote = vote;
    return decision;
  };
  return change(decide, Patience(options));
}

Result<std::optional<model::WitnessRegister>> FileWitness::peek(const CallOptions& options) {
  const Patience patience(options);
  K4T_ASSIGN(const auto held, read(patience));
  if (!held) return std::optional<model::WitnessRegister>();
  return std::optional<model::WitnessRegister>(held->now);
}

Result<model::Record> FileWitness::fetch(const std::string& txn, const CallOptions& options) {
  const Patience patience(options);
  auto kept = fetch_kept(txn, patience);
  if (kept.status() != Status::not_found) return kept;
  K4T_ASSIGN(const auto held, read(patience));
  if (held && held->has_record && held->now.vote->txn == txn) return record_in(held->text, txn, register_path());
  // Whoever replaced the register in between has kept its record first.
  return fetch_kept(txn, patience);
}

Result<model::Record> FileWitness::fetch_kept(const std::string& txn, const Patience& patience) {
  K4T_TRY(check_place());
  if (!is_plain(txn)) return Error{Status::invalid_argument, "not the name of a record", txn.substr(0, 64)};
  K4T_ASSIGN(const auto text, host_->read_file(record_path(txn), patience.limits()));
  return record_in(text, txn, record_path(txn));
}

Result<void> FileWitness::close(const model::Epoch& epoch, const CallOptions& options) {
  const Patience patience(options);
  const auto decide = [&](const std::optional<Held>& held) -> Result<Decision> {
    if (!held) return blank(register_path());
    Decision decision{true, true, held->now, nullptr};
    if (held->now.promised != epoch || !held->now.open) return Decision{false, false, held->now, nullptr};
    decision.now.open = false;
    return decision;
  };
  K4T_ASSIGN(const auto closed, change(decide, patience));
  if (closed.granted && closed.now.vote) prune(*closed.now.vote, patience);
  return {};
}

// A vote for a version says that its base is decided, so that no claim can choose anything older. Any doubt keeps a
// file.
void FileWitness::prune(const model::Vote& vote, const Patience& patience) {
  static_cast<void>(host_->sweep_folder(where_.path, patience.limits()));
  const auto names = host_->list_folder(where_.path, patience.limits());
  if (!names) return;
  std::set<std::string> named;
  for (const auto& name : *names) {
    if (!has_form(name, kRegisterPrefix)) continue;
    const auto text = host_->read_file(where_.path + "/" + name, patience.limits());
    if (!text) return;
    const auto other = parse<model::WitnessRegister>(text->substr(0, text->find('\n')), name);
    if (!other) return;
    if (other->vote) named.insert(other->vote->txn);
  }
  for (const auto& name : *names) {
    if (!has_form(name, kRecordPrefix)) continue;
    const std::string txn = name.substr(kRecordPrefix.size(), name.size() - kRecordPrefix.size() - kSuffix.size());
    if (named.contains(txn)) continue;
    const auto record = fetch_kept(txn, patience);
    if (!record || record->version + 1 >= vote.version) continue;
    // What stays after a failure is deleted by a later run.
    static_cast<void>(host_->remove_file(record_path(txn), patience.limits()));
  }
}

}  // namespace k4t::drivers
