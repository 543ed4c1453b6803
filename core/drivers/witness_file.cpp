#include "drivers/witness_file.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace k4t::drivers {
namespace {

constexpr unsigned kMode = 0600;
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

/// The first line; below it may be a record.
std::string register_line(const std::string& text) { return text.substr(0, text.find('\n')); }

bool has_record(const std::string& text) {
  const auto line_end = text.find('\n');
  return line_end != std::string::npos && line_end + 1 < text.size();
}

std::string record_path(const std::string& folder, const std::string& txn) {
  return folder + "/" + std::string(kRecordPrefix) + txn + std::string(kSuffix);
}

}  // namespace

Result<void> put_record(transport::Host& host, const std::string& folder, const model::Record& record,
                        const transport::Limits& limits) {
  return host.put_file(record_path(folder, record.txn), json_text(record) + "\n", kMode, limits);
}

Result<model::Record> fetch_record(transport::Host& host, const std::string& folder, const std::string& txn,
                                   const transport::Limits& limits) {
  if (!is_plain(txn)) return Error{Status::invalid_argument, "not the name of a record", txn.substr(0, 64)};
  const std::string path = record_path(folder, txn);
  K4T_ASSIGN(const auto text, host.read_file(path, limits));
  return record_in(text, txn, path);
}

void prune_records(transport::Host& host, const std::string& folder, std::uint64_t version,
                   const std::set<std::string>& named, const Patience& patience) {
  const auto names = host.list_folder(folder, patience.limits());
  if (!names) return;
  for (const auto& name : *names) {
    if (!has_form(name, kRecordPrefix)) continue;
    const std::string txn = name.substr(kRecordPrefix.size(), name.size() - kRecordPrefix.size() - kSuffix.size());
    if (named.contains(txn)) continue;
    const auto record = fetch_record(host, folder, txn, patience.limits());
    if (!record || record->version >= version) continue;
    static_cast<void>(host.remove_file(record_path(folder, txn), patience.limits()));
  }
}

FileWitness::FileWitness(std::shared_ptr<transport::Host> host, std::string cluster, model::Witness where)
    : RegisterWitness(std::move(cluster), std::move(where.id)),
      host_(std::move(host)),
      folder_(std::move(where.path)) {}

std::string FileWitness::place() const {
  return folder_ + "/" + std::string(kRegisterPrefix) + id() + std::string(kSuffix);
}

Result<void> FileWitness::check_place() const {
  if (is_plain(id()) && folder_.starts_with('/')) return {};
  return Error{Status::invalid_argument,
               "witness '" + id() + "' needs an id of lower-case letters, digits and '-' and an absolute folder",
               {}};
}

Result<std::optional<std::string>> FileWitness::read(const Patience& patience) {
  K4T_TRY(check_place());
  K4T_TRY(patience.check(place()));
  auto text = host_->read_file(place(), patience.limits());
  if (text.status() == Status::not_found) return std::optional<std::string>();
  if (!text) return text.error();
  return std::optional<std::string>(*std::move(text));
}

Result<model::WitnessRegister> FileWitness::understand(const std::string& text) const {
  K4T_ASSIGN(auto now, parse<model::WitnessRegister>(register_line(text), place()));
  if (now.vote || !has_record(text)) return now;
  return Error{Status::fatal, place() + " is damaged and was left as it is: it has a record without a vote", {}};
}

Result<std::string> FileWitness::swap(const std::optional<Held>& held, const model::WitnessRegister& next,
                                      const model::Record* record, const Patience& patience) {
  K4T_TRY(patience.check(place()));
  if (!held) K4T_TRY(host_->make_folder(folder_, 0700, patience.limits()));
  std::string text = json_text(next) + "\n";
  if (record != nullptr) text += json_text(*record) + "\n";
  std::optional<std::string> expected;
  std::string keep_as;
  if (held) {
    expected = held->text;
    const bool keeps = has_record(held->text);
    const bool repeats = keeps && record != nullptr && record->txn == held->now.vote->txn;
    if (keeps && !repeats) keep_as = record_path(folder_, held->now.vote->txn);
  }
  K4T_TRY(host_->swap_file(place(), expected, text, kMode, patience.limits(), keep_as));
  return text;
}

Result<model::Record> FileWitness::fetch(const std::string& txn, const CallOptions& options) {
  K4T_TRY(check_place());
  const Patience patience(options);
  auto kept = fetch_record(*host_, folder_, txn, patience.limits());
  if (kept.status() != Status::not_found) return kept;
  K4T_ASSIGN(const auto text, read(patience));
  if (text && has_record(*text)) {
    K4T_ASSIGN(const auto now, understand(*text));
    if (now.vote->txn == txn) return record_in(*text, txn, place());
  }
  // Whoever replaced the register in between has kept its record first.
  return fetch_record(*host_, folder_, txn, patience.limits());
}

void FileWitness::closed(const model::WitnessRegister& now, const Patience& patience) {
  if (now.vote) prune(*now.vote, patience);
}

// A vote for a version says that its base is decided, so that no claim can choose anything older. Any doubt keeps a
// file.
void FileWitness::prune(const model::Vote& vote, const Patience& patience) {
  static_cast<void>(host_->sweep_folder(folder_, patience.limits()));
  const auto names = host_->list_folder(folder_, patience.limits());
  if (!names) return;
  std::set<std::string> named;
  for (const auto& name : *names) {
    if (!has_form(name, kRegisterPrefix)) continue;
    const auto text = host_->read_file(folder_ + "/" + name, patience.limits());
    if (!text) return;
    const auto other = parse<model::WitnessRegister>(register_line(*text), name);
    if (!other) return;
    if (other->vote) named.insert(other->vote->txn);
  }
  if (vote.version > 0) prune_records(*host_, folder_, vote.version - 1, named, patience);
}

}  // namespace k4t::drivers
