#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "index.hpp"
#include "k4t/dns.hpp"
#include "k4t/dnsupdate.hpp"

/// From states to updates; pure. Whose records are whose is decided here and nowhere else:
///
/// The cluster owns every name at or below its suffix, except
///  - SOA and NS records, and those that DNSSEC signing makes;
///  - names with a label that begins with "_k4t": registers, not content;
///  - addresses of name servers (what an NS record or the zone's SOA names), wherever they are;
///  - names at or below a *foreign root*: a delegation, or the suffix of another cluster (which has a register).
/// As long as there is no register of ours (BLANK), whatever exists belongs to somebody else: nothing is deleted, and a
/// name that we would have to share is refused.

namespace k4t::dnsparticipant {

/// All records of one name and type.
struct RecordData {
  std::uint32_t ttl_s = 0;
  std::set<std::string> rdatas;  ///< wire form
  friend bool operator==(const RecordData&, const RecordData&) = default;
};
using Records = std::map<Key, RecordData>;
/// "web.k4t.example.net A", for messages.
std::string describe(const Key& key);

/// True for `suffix` itself and every name below it.
bool at_or_below(std::string_view name, std::string_view suffix);

/// What a state looks like on the wire. INVALID_ARGUMENT naming the record that no server could serve as it is meant:
/// wrong suffix, malformed or reserved names, wildcards, malformed values, more than 100 of them, duplicates.
Result<Records> render(const dns::State& state, const std::string& suffix);

/// What the zone holds, as far as it was read.
struct Present {
  Records ours;                              ///< what the cluster owns, or would if it had a register
  std::set<std::string> foreign_roots;       ///< names at or below these are somebody else's
  std::set<std::string> server_names;        ///< the zone's name servers
  std::optional<std::string> register_text;  ///< only from a transfer
  bool complete = false;                     ///< all of the zone was read, not only what was asked for
};

/// Sorts the records of a whole zone.
Present sort_out(const std::vector<dnsupdate::Record>& records, const std::string& zone, const std::string& suffix);

/// INVALID_ARGUMENT naming the first record that would not be served, or is somebody else's. `blank`: there is no
/// register yet.
Result<void> check_place(const Records& target, const Present& present, bool blank);

/// Changes that belong together: always in one message.
struct Step {
  Key key;
  std::vector<dnsupdate::Prerequisite> prerequisites;
  std::vector<dnsupdate::Change> changes;
  std::optional<RecordData> put;  ///< absent: the record set is removed
  std::set<std::string> removed;  ///< values that must no longer be answered
};

struct DifferenceOptions {
  bool remove_extras = true;   ///< delete what is present and not in the target
  bool exclusive = false;      ///< require that what is put did not exist
  std::string index_suffix{};  ///< note what is put and removed in the index below this suffix; empty: keep none
};

/// What leads from `present` to `target`: additions and replacements in order of name, then removals. A record set is
/// replaced as a whole, so that its TTL is too. Each addition requires that no CNAME is at its name, or deletes it:
/// beside one, servers answer NOERROR and drop the record.
std::vector<Step> difference(const Records& present, const Records& target, const DifferenceOptions& options);

/// What one message may need for its steps.
struct Room {
  std::size_t bytes = SIZE_MAX;
  std::size_t names = SIZE_MAX;  ///< different names whose records change
};

/// Cuts the steps into messages that have room for them, in order; they are to outlive the chunks. A step that is
/// larger by itself gets a message of its own. No steps: one empty chunk.
std::vector<std::span<Step>> chunks(std::span<Step> steps, const Room& room);

/// INVALID_ARGUMENT naming the first record set that needs more than `limit_bytes` by itself.
Result<void> check_sizes(const Records& target, std::size_t limit_bytes);

/// What differs, for people: at most `limit` record sets by name. Empty: nothing.
std::string drift(const Records& present, const Records& target, std::size_t limit);

}  // namespace k4t::dnsparticipant
