#include "backup/place.hpp"

#include <algorithm>
#include <tuple>

#include "k4t/ssh.hpp"
#include "platform/steps.hpp"

namespace k4t::backup {

Place::Place(const model::BackupPlace& config, const std::string& cluster, const transport::SshOptions& ssh)
    : config_(config), folder_(config.path + '/' + cluster), host_(transport::open_host(config.host, ssh)) {}

Error Place::told(const Error& error) const { return error.within("copies on " + config_.title()); }

Result<void> Place::put(const CopyName& name, const std::string& file, const transport::Limits& limits) {
  if (!host_) return told(host_.error());
  auto& host = **host_;
  if (const auto made = host.make_folder(folder_, 0700, limits); !made) return told(made.error());
  platform::step("before copy to " + config_.title());
  if (const auto put = host.put_file(path_of(name), file, 0600, limits); !put) return told(put.error());
  platform::step("after copy to " + config_.title());
  const auto back = host.read_file(path_of(name), limits);
  if (!back) return told(back.error());
  if (*back == file) return {};
  return told({Status::unavailable, "what was written to " + path_of(name) + " is not what can be read there", {}});
}

Result<std::vector<CopyName>> Place::list(const transport::Limits& limits) {
  if (!host_) return told(host_.error());
  const auto names = (*host_)->list_folder(folder_, limits);
  if (!names && names.status() == Status::not_found) return std::vector<CopyName>{};
  if (!names) return told(names.error());
  std::vector<CopyName> copies;
  for (const auto& text : *names) {
    if (const auto name = parse_copy_name(text)) copies.push_back(*name);
  }
  std::sort(copies.begin(), copies.end(), [](const CopyName& a, const CopyName& b) {
    return std::tie(a.made_at_s, a.version, a.mark) > std::tie(b.made_at_s, b.version, b.mark);
  });
  return copies;
}

Result<std::string> Place::read(const CopyName& name, const transport::Limits& limits) {
  if (!host_) return told(host_.error());
  auto file = (*host_)->read_file(path_of(name), limits);
  return file ? file : Result<std::string>(told(file.error()));
}

Result<std::size_t> Place::thin(std::int64_t now_s, const transport::Limits& limits) {
  K4T_ASSIGN(auto copies, list(limits));
  const auto gone = outdated(std::move(copies), now_s, {config_.keep, config_.keep_for_s});
  for (const auto& name : gone) {
    if (const auto removed = (*host_)->remove_file(path_of(name), limits); !removed) return told(removed.error());
  }
  // Their temporary files, of puts that died half way.
  if (const auto swept = (*host_)->sweep_folder(folder_, limits); !swept) return told(swept.error());
  return gone.size();
}

}  // namespace k4t::backup
