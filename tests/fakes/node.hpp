#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "fakes/faults.hpp"
#include "k4t/runtime.hpp"

namespace k4t::fakes {

/// A container runtime in memory that obeys k4t/runtime.hpp. Thread-safe through the world's mutex.
class Node final : public runtime::Driver {
 public:
  /// See Participant.
  Node(std::mutex& mutex, std::function<void()> changed) : mutex_(mutex), changed_(std::move(changed)) {}

  Result<runtime::NodeInfo> info(Call& call) override;
  Result<runtime::NodeUsage> usage(Call& call) override;
  Result<runtime::ImageReply> ensure_image(const runtime::ImageRequest& request, Call& call) override;
  Result<runtime::ImagesReply> list_images(const runtime::ImagesRequest& request, Call& call) override;
  /// Tells `saved_archive`.
  Result<Nothing> save_images(const runtime::SaveRequest& request, Call& call) override;
  Result<runtime::LoadReply> load_image(const runtime::LoadRequest& request, Call& call) override;
  Result<runtime::ShareReply> share_images(const runtime::ShareRequest& request, Call& call) override;
  Result<Nothing> end_share(const runtime::EndShareRequest& request, Call& call) override;
  Result<runtime::ListReply> list(const runtime::ListRequest& request, Call& call) override;
  Result<runtime::Instance> create(const runtime::InstanceSpec& spec, Call& call) override;
  Result<runtime::Instance> start(const runtime::InstanceRequest& request, Call& call) override;
  Result<Nothing> stop(const runtime::InstanceRequest& request, Call& call) override;
  Result<Nothing> remove(const runtime::InstanceRequest& request, Call& call) override;
  Result<runtime::Instance> inspect(const runtime::InstanceRequest& request, Call& call) override;
  Result<Nothing> logs(const runtime::LogsRequest& request, Call& call) override;

  Faults faults;

  [[nodiscard]] Json saved() const { return Json{{"instances", instances}}; }
  void load(const Json& json) { instances = *decode<decltype(instances)>(json.at("instances")); }

  // Behind the world's mutex while calls go on.
  std::map<std::string, runtime::Instance> instances;  ///< by name
  std::set<std::uint16_t> squatted;                    ///< host ports that somebody else uses
  std::set<std::string> images_that_never_run;         ///< such an instance ends at once
  std::vector<runtime::Image> images;                  ///< what is loaded is not added
  std::vector<runtime::LoadRequest> loads;             ///< those that were tried
  std::string saved_archive;
  bool shares = false;                        ///< images with the others
  std::vector<runtime::ShareRequest> shared;  ///< what it shares or shared
  std::set<std::string> open_shares;
  bool forgets_tickets = false;
  bool wants_all_layers = false;  ///< as a runtime that cannot do without those it has
  std::uint64_t memory_bytes = std::uint64_t{4} << 30;
  runtime::NodeUsage in_use;

 private:
  std::mutex& mutex_;
  std::function<void()> changed_;
};

}  // namespace k4t::fakes
