#include "backup/keeper.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>

#include "k4t/digest.hpp"
#include "platform/parallel.hpp"

namespace k4t::backup {

K4T_JSON_DEFINE(LastCopy, name, digest, files, version, made_at_s)

namespace {

using std::chrono::steady_clock;

constexpr std::size_t mark_digits = 8;
constexpr auto delivery_limit = std::chrono::minutes(2);
/// How long who is silent is waited for once another place has the copy.
constexpr auto grace = std::chrono::seconds(1);

std::string memory_of(const model::BackupPlace& place) {
  return "copy on " + model::machine_of(place.host) + ' ' + place.path;
}

/// Tells who is still waited for.
class Hurry {
 public:
  void somebody_has_it() {
    auto none = steady_clock::time_point::max();
    until_.compare_exchange_strong(none, steady_clock::now() + grace);
  }
  [[nodiscard]] bool is_over() const { return steady_clock::now() > until_.load(); }

 private:
  std::atomic<steady_clock::time_point> until_ = steady_clock::time_point::max();
};

}  // namespace

bool is_kept_elsewhere(const std::vector<PlaceStanding>& standings) {
  return std::any_of(standings.begin(), standings.end(),
                     [](const PlaceStanding& one) { return one.elsewhere && one.current; });
}

Result<std::optional<Key>> open_key(const model::BackupKey& settings) {
  if (!settings.encrypt) return std::optional<Key>();
  std::error_code ignored;
  const std::string& file = settings.passphrase_file.empty() ? settings.key_file : settings.passphrase_file;
  if (!std::filesystem::exists(file, ignored)) {
    return Error{Status::invalid_argument,
                 settings.passphrase_file.empty() ? "there is no backup key " + file +
                                                        ": `k4t init` makes one for a new cluster; of one that has "
                                                        "copies, bring it back"
                                                  : "there is no passphrase file " + file,
                 {}};
  }
  auto key =
      settings.passphrase_file.empty() ? Key::read(settings.key_file) : Key::read_passphrase(settings.passphrase_file);
  if (key) return std::optional<Key>(*std::move(key));
  return key.error();
}

Keeper::Keeper(store::Store& store, const model::Cluster& cluster, std::map<std::string, std::string> files,
               const std::atomic<bool>& cancelled)
    : store_(store),
      cluster_(cluster),
      files_(std::move(files)),
      files_digest_(sha256_hex(Json(files_).dump(-1, ' ', false, Json::error_handler_t::replace))),
      cancelled_(cancelled) {
  for (const auto& place : cluster.backups) {
    places_.push_back(std::make_unique<Place>(place, cluster.name, cluster.ssh));
  }
}

/// Returns the metadata.
Result<std::string> Keeper::look(std::vector<PlaceStanding>& standings) {
  K4T_ASSIGN(auto metadata, store_.snapshot());
  const std::string digest = sha256_hex(metadata);
  for (const auto& place : places_) {
    PlaceStanding standing;
    standing.place = place->config().title();
    standing.elsewhere = place->is_elsewhere();
    K4T_ASSIGN(const auto remembered, store_.recall(memory_of(place->config())));
    if (remembered) {
      K4T_ASSIGN(standing.last, decode<LastCopy>(*remembered));
      standing.current = standing.last->digest == digest && standing.last->files == files_digest_;
    }
    standings.push_back(std::move(standing));
  }
  return metadata;
}

Result<std::vector<PlaceStanding>> Keeper::standings() {
  std::vector<PlaceStanding> standings;
  K4T_TRY(look(standings));
  return standings;
}

Result<Keeper::Made> Keeper::make(const std::string& metadata, store::Seconds now_s) {
  K4T_ASSIGN(const auto key, open_key(cluster_.backup_key));
  Copy copy;
  copy.metadata = metadata;
  copy.files = files_;
  copy.header.cluster = cluster_.name;
  K4T_ASSIGN(const auto id, store_.cluster_id());
  copy.header.cluster_id = id.value_or("");
  K4T_ASSIGN(copy.header.counter, store_.highest_counter());
  K4T_ASSIGN(const auto latest, store_.latest_decided());
  if (latest) {
    copy.header.version = latest->version;
    copy.header.txn = latest->txn;
  }
  copy.header.made_at_s = now_s;
  Made made;
  K4T_ASSIGN(made.file, seal(copy, key ? &*key : nullptr));
  // As whoever restores it will: what cannot be opened again is no copy.
  K4T_ASSIGN(const auto opened, unseal(made.file, key ? &*key : nullptr));
  made.name = {now_s, opened.header.version, opened.header.digest.substr(0, mark_digits)};
  made.last = {made.name.text(), opened.header.digest, opened.header.version, now_s, files_digest_};
  return made;
}

Result<void> Keeper::deliver(const Made& made, const std::vector<std::size_t>& places,
                             std::vector<PlaceStanding>& standings, store::Seconds now_s, bool patient) {
  Hurry hurry;
  transport::Limits limits;
  limits.timeout = delivery_limit;
  limits.cancelled = [&] { return cancelled_ || (!patient && hurry.is_over()); };
  const auto outcomes = platform::parallel_map(places, places.size(), [&](std::size_t at) -> Result<void> {
    Place& place = *places_[at];
    K4T_TRY(place.put(made.name, made.file, limits));
    if (place.is_elsewhere()) hurry.somebody_has_it();
    // That old copies could not be deleted now makes the new one no worse; the next one tries again.
    static_cast<void>(place.thin(now_s, limits));
    return {};
  });
  for (std::size_t i = 0; i < places.size(); ++i) {
    PlaceStanding& standing = standings[places[i]];
    if (outcomes[i]) {
      standing.sent = standing.current = true;
      standing.last = made.last;
      standing.why.reset();
      if (!store_.is_read_only()) K4T_TRY(store_.remember(memory_of(places_[places[i]]->config()), made.last));
    } else if (!patient && hurry.is_over() && outcomes[i].status() == Status::deadline) {
      standing.why = Error{Status::deadline, "copies on " + standing.place + ": it does not answer", {}};
    } else {
      standing.why = outcomes[i].error();
    }
  }
  return {};
}

Result<std::vector<PlaceStanding>> Keeper::settle(store::Seconds now_s) {
  std::vector<PlaceStanding> standings;
  K4T_ASSIGN(const auto metadata, look(standings));
  const bool is_safe = is_kept_elsewhere(standings);
  std::uint32_t shortest_s = std::numeric_limits<std::uint32_t>::max();
  for (const auto& place : places_) shortest_s = std::min(shortest_s, place->config().every_s);
  std::vector<std::size_t> first;
  std::vector<std::size_t> rest;
  for (std::size_t at = 0; at < places_.size(); ++at) {
    const auto& config = places_[at]->config();
    if (standings[at].current) continue;
    const bool due = !standings[at].last || now_s - standings[at].last->made_at_s >= config.every_s;
    (due || (!is_safe && config.every_s == shortest_s) ? first : rest).push_back(at);
  }
  if (first.empty() && (is_safe || rest.empty())) return standings;
  K4T_ASSIGN(const auto made, make(metadata, now_s));
  if (!first.empty()) K4T_TRY(deliver(made, first, standings, now_s, /*patient=*/false));
  if (!is_kept_elsewhere(standings) && !rest.empty()) {
    K4T_TRY(deliver(made, rest, standings, now_s, /*patient=*/false));
  }
  return standings;
}

Result<std::vector<PlaceStanding>> Keeper::send(store::Seconds now_s, const std::vector<std::string>& places) {
  std::vector<PlaceStanding> standings;
  K4T_ASSIGN(const auto metadata, look(standings));
  std::vector<std::size_t> chosen;
  for (std::size_t at = 0; at < places_.size(); ++at) {
    const bool named = std::find(places.begin(), places.end(), standings[at].place) != places.end();
    if (places.empty() || named) chosen.push_back(at);
  }
  K4T_ASSIGN(const auto made, make(metadata, now_s));
  K4T_TRY(deliver(made, chosen, standings, now_s, /*patient=*/true));
  return standings;
}

}  // namespace k4t::backup
