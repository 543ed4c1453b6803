#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "k4t/dnsparticipant.hpp"
#include "render.hpp"

namespace k4t::dnsparticipant {

/// One zone on one server: reads that tell absence from ignorance, and writes whose lost answers are settled by reading
/// again over the same path. Not thread-safe.
class Zone {
 public:
  Zone(std::string zone, std::string suffix, Reading reading, dnsupdate::Client client);

  /// The one TXT string at a name. Absent only by an authoritative answer out of this zone. INVALID_ARGUMENT: there are
  /// several, or the server's zone for this name is another one.
  Result<std::optional<std::string>> read_text(const std::string& name, const dnsupdate::Limits& limits);

  /// All that is ours: the whole zone at one moment, or what the index says and `keys`. UNSUPPORTED: the server does
  /// not allow transfers, and there is no index.
  Result<Present> whole(const std::set<Key>& keys, const dnsupdate::Limits& limits);

  /// Only the given record sets, any CNAME in their place, and whose names they are.
  Result<Present> look_up(const std::set<Key>& keys, const dnsupdate::Limits& limits);

  /// whole() where that is possible, else look_up() of `keys`.
  Result<Present> read(const std::set<Key>& keys, const dnsupdate::Limits& limits);

  /// Record sets as the server answers them now, and what else is in their place. Those that do not exist are missing.
  Result<Records> answered(const std::set<Key>& keys, const dnsupdate::Limits& limits);

  enum class Written {
    done,
    blocked,  ///< nothing changed, although the TXT record is as it was: another prerequisite did not hold
  };

  /// Changes the TXT string at `name` from `before` to `after` (absent: no record), and with it whatever `update` says:
  /// all or nothing. Any error is settled by reading the record again. CONFLICT: it is neither `before` nor `after`.
  Result<Written> swap_text(dnsupdate::Update update, const std::string& name, const std::optional<std::string>& before,
                            const std::optional<std::string>& after, const dnsupdate::Limits& limits);

  /// One update as it is; see dnsupdate::Client::update.
  Result<void> update(dnsupdate::Update update, const dnsupdate::Limits& limits);

  [[nodiscard]] const std::string& zone() const { return zone_; }
  [[nodiscard]] const std::string& suffix() const { return suffix_; }
  /// Below which changes are noted in the index; empty: there is none.
  [[nodiscard]] std::string index_suffix() const { return reading_ == Reading::index ? suffix_ : std::string(); }
  [[nodiscard]] std::string where() const { return client_.where(); }

 private:
  Result<Present> transfer(const dnsupdate::Limits& limits);
  Result<std::set<Key>> read_index(const dnsupdate::Limits& limits);
  Result<dnsupdate::Answer> ask_ours(const std::string& name, const dnsupdate::Limits& limits);
  [[nodiscard]] Error elsewhere(const std::string& why) const;
  Result<void> look_up_into(Present& present, const std::set<Key>& keys, const dnsupdate::Limits& limits);
  Result<void> note_answer(Present& present, const Key& key, const dnsupdate::Answer& answer) const;
  Result<void> note_server_names(Present& present, const dnsupdate::Limits& limits);

  std::string zone_;
  std::string suffix_;
  Reading reading_;
  dnsupdate::Client client_;
};

/// "`_k4t` = before" as a prerequisite.
dnsupdate::Prerequisite text_is(const std::string& name, const std::optional<std::string>& text);
/// Makes `text` the only TXT string at `name`, TTL 0; absent: none.
std::vector<dnsupdate::Change> text_becomes(const std::string& name, const std::optional<std::string>& text);

}  // namespace k4t::dnsparticipant
