#include "backup/restore.hpp"

#include <algorithm>

#include "k4t/ssh.hpp"

namespace k4t::backup {

Result<Copy> open_copy(Place& place, const CopyName& name, const std::string& cluster, const Key* key,
                       const transport::Limits& limits) {
  K4T_ASSIGN(const auto file, place.read(name, limits));
  auto copy = unseal(file, key);
  if (!copy) return copy.error().within(name.text() + " on " + place.config().title());
  const auto& header = copy->header;
  if (header.cluster != cluster) {
    return Error{Status::conflict, name.text() + " is a copy of the cluster '" + header.cluster + "'", {}};
  }
  // Who writes there could put an old copy under a new one's name.
  const CopyName said{header.made_at_s, header.version, header.digest.substr(0, name.mark.size())};
  if (said == name) return copy;
  return Error{Status::conflict, name.text() + " is the copy " + said.text() + " under another's name", {}};
}

Result<Fetched> fetch(Place& place, const std::string& cluster, std::optional<std::int64_t> at_s, const Key* key,
                      const transport::Limits& limits) {
  K4T_ASSIGN(const auto copies, place.list(limits));
  const auto found = std::find_if(copies.begin(), copies.end(),
                                  [&](const CopyName& copy) { return !at_s || copy.made_at_s <= *at_s; });
  if (found == copies.end()) {
    return Error{Status::not_found,
                 copies.empty()
                     ? "there are no copies of the cluster '" + cluster + "' on " + place.config().title()
                     : "the oldest copy on " + place.config().title() + " is younger: " + copies.back().text(),
                 {}};
  }
  K4T_ASSIGN(auto copy, open_copy(place, *found, cluster, key, limits));
  return Fetched{*found, std::move(copy)};
}

Result<std::vector<std::string>> clusters_at(const model::BackupPlace& place, const transport::SshOptions& ssh,
                                             const transport::Limits& limits) {
  K4T_ASSIGN(const auto host, transport::open_host(place.host, ssh));
  const auto names = host->list_folder(place.path, limits);
  if (!names && names.status() == Status::not_found) return std::vector<std::string>{};
  if (!names) return names.error().within("copies on " + place.title());
  return *names;
}

Result<void> may_replace(const std::filesystem::path& folder, const Header& header, bool force) {
  const auto opened = store::Store::open(folder, "restore", store::Mode::read);
  if (!opened && (opened.status() == Status::not_found || opened.status() == Status::fatal)) return {};
  if (!opened) return opened.error();
  auto& present = **opened;
  K4T_ASSIGN(const auto cluster, present.cluster());
  K4T_ASSIGN(const auto id, present.cluster_id());
  if ((cluster && *cluster != header.cluster) || (id && !header.cluster_id.empty() && *id != header.cluster_id)) {
    return Error{Status::conflict,
                 folder.string() + " holds the metadata of another cluster" + (cluster ? ", '" + *cluster + "'" : ""),
                 {}};
  }
  K4T_ASSIGN(const auto latest, present.latest_decided());
  K4T_ASSIGN(const auto services, present.services());
  if (force || (!latest && services.empty())) return {};
  const std::uint64_t version = latest ? latest->version : 0;
  return Error{Status::conflict,
               "there is metadata in " + folder.string() + " already, of version " + std::to_string(version) +
                   "; the copy is of version " + std::to_string(header.version) +
                   ": --force puts it in its place, and keeps what is there beside it",
               {}};
}

}  // namespace k4t::backup
