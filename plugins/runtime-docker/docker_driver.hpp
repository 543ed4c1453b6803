#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "client.hpp"
#include "k4t/runtime.hpp"
#include "options.hpp"
#include "share.hpp"

namespace k4t::docker {

/// One node's Docker Engine as a runtime. Thread-safe: it keeps nothing of its own but connections and what the node
/// shares, since what the engine says is the truth.
class DockerDriver final : public runtime::Driver {
 public:
  explicit DockerDriver(Options options);

  Result<runtime::NodeInfo> info(Call& call) override;
  Result<runtime::NodeUsage> usage(Call& call) override;
  Result<runtime::ImageReply> ensure_image(const runtime::ImageRequest& request, Call& call) override;
  Result<runtime::ImagesReply> list_images(const runtime::ImagesRequest& request, Call& call) override;
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
  Result<runtime::ExecReply> exec(const runtime::ExecRequest& request, Call& call) override;

 private:
  Result<Json> inspect_image(const std::string& image, Call& call);
  Result<std::string> image_id(const std::string& image, Call& call);
  Result<void> pull(const std::string& image, Call& call);
  /// By the engine's identifier, so that a name that is given to another container meanwhile cannot be mistaken.
  Result<runtime::Instance> inspect_id(const std::string& id, Call& call);
  /// The blocks of addresses of options.network. INVALID_ARGUMENT: the engine has no such network.
  Result<std::vector<std::string>> read_subnets(Call& call);
  /// What has the spec's name already, if it is the same instance.
  Result<runtime::Instance> existing(const runtime::InstanceSpec& spec, Call& call);
  Result<runtime::LoadReply> load_shared(const runtime::LoadRequest& request, Call& call);
  Result<void> may_remove(const runtime::Instance& instance) const;
  Result<Nothing> stop_instance(const runtime::Instance& instance, Call& call);
  /// Sends and passes the multiplexed output on to the caller.
  Result<Engine::Answer> stream_output(const std::string& method, const std::string& path, const Json& body,
                                       Call& call);

  const Options options_;
  Engine engine_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Share>> shares_;  ///< guarded by mutex_
  std::uint64_t last_share_ = 0;                          ///< guarded by mutex_
};

/// The manifest of this plugin.
Manifest describe();

/// INVALID_ARGUMENT: see parse_options. Connects to nothing.
Result<std::unique_ptr<runtime::Driver>> open_driver(const OpenRequest& request, Call& call);

}  // namespace k4t::docker
