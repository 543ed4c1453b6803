#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "backup/copy_file.hpp"
#include "backup/place.hpp"
#include "store/store.hpp"

/// A master's metadata comes back from a copy. The copy is a memory of the past: what was decided since is learnt from
/// the witnesses, and what runs from the nodes, by the next run.

namespace k4t::backup {

/// Opens one copy of a place. CONFLICT: it is another cluster's, or another one than its name says. Other errors: see
/// unseal().
Result<Copy> open_copy(Place& place, const CopyName& name, const std::string& cluster, const Key* key,
                       const transport::Limits& limits);

/// A copy that was fetched and opened.
struct Fetched {
  CopyName name;
  Copy copy;
};

/// The newest copy of a place, or the newest that was made no later than `at_s`. NOT_FOUND: there is none. Other
/// errors: see open_copy(); another copy is never taken instead.
Result<Fetched> fetch(Place& place, const std::string& cluster, std::optional<std::int64_t> at_s, const Key* key,
                      const transport::Limits& limits);

/// The clusters that have a folder with copies at that place, sorted.
Result<std::vector<std::string>> clusters_at(const model::BackupPlace& place, const transport::SshOptions& ssh,
                                             const transport::Limits& limits);

/// Whether a copy may take the place of the store in that folder. CONFLICT: it is another cluster's, or knows more than
/// the copy, which `force` overrides. A damaged one, or none, may be replaced.
Result<void> may_replace(const std::filesystem::path& folder, const Header& header, bool force);

}  // namespace k4t::backup
