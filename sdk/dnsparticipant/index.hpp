#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "k4t/dnsupdate.hpp"

/// The index of a zone that cannot be transferred (Reading::index); pure. Each record set of ours is one TXT string
/// "TYPE LABELS", TYPE a number and LABELS its name without the suffix ("@": the suffix itself), at one of 64 names
/// `_k4t-i-NN.SUFFIX`, NN from 00 to 63 by a hash of the string. Many names, because a server rewrites all records of a
/// name at once and bounds how many it can have. Which name it is must never change: other versions of k4t read it.

namespace k4t::dnsparticipant {

using Key = std::pair<std::string, std::uint16_t>;  ///< name, type

/// All names of the index below `suffix`.
std::vector<std::string> index_names(std::string_view suffix);

/// The change that notes a record set, and the one that drops it.
dnsupdate::Change note_in_index(const Key& key, const std::string& suffix);
dnsupdate::Change drop_from_index(const Key& key, const std::string& suffix);

/// What an index string says; absent: none that we have written.
std::optional<Key> parse_index(std::string_view text, const std::string& suffix);

}  // namespace k4t::dnsparticipant
