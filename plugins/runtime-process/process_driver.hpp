#pragma once

#include <memory>
#include <string>

#include "instance_folder.hpp"
#include "k4t/runtime.hpp"
#include "options.hpp"

/// Instances as supervised processes of this machine. Keeps nothing in memory: every verb reads the instances' folders
/// (instance_folder.hpp), and those that change one lock it, so any number of drivers may work at the same time.

namespace k4t::process {

class ProcessDriver final : public runtime::Driver {
 public:
  /// `address`: where instances listen, as the node was opened with; for finding out whether ports are free.
  ProcessDriver(Options options, std::string address) : options_(std::move(options)), address_(std::move(address)) {}

  Result<runtime::NodeInfo> info(Call& call) override;
  Result<runtime::NodeUsage> usage(Call& call) override;
  Result<runtime::ImageReply> ensure_image(const runtime::ImageRequest& request, Call& call) override;
  Result<runtime::ListReply> list(const runtime::ListRequest& request, Call& call) override;
  Result<runtime::Instance> create(const runtime::InstanceSpec& spec, Call& call) override;
  Result<runtime::Instance> start(const runtime::InstanceRequest& request, Call& call) override;
  Result<Nothing> stop(const runtime::InstanceRequest& request, Call& call) override;
  Result<Nothing> remove(const runtime::InstanceRequest& request, Call& call) override;
  Result<runtime::Instance> inspect(const runtime::InstanceRequest& request, Call& call) override;
  Result<Nothing> logs(const runtime::LogsRequest& request, Call& call) override;
  Result<runtime::ExecReply> exec(const runtime::ExecRequest& request, Call& call) override;

 private:
  [[nodiscard]] InstanceFolder folder_of(const std::string& name) const;
  /// Excludes other drivers from changing the instance. NOT_FOUND: there is none. BUSY: another does not let go.
  Result<Descriptor> lock_folder(const InstanceFolder& folder, const Call& call) const;
  Result<Descriptor> claim_new_folder(const std::string& name, std::string& path) const;
  Result<runtime::Instance> create_folder(const runtime::InstanceSpec& spec, const Launch& launch);
  Result<void> fill_folder(const InstanceFolder& folder, const Launch& launch) const;
  Result<void> launch_supervisor(const InstanceFolder& folder, const Launch& launch, Call& call) const;
  void sweep() const;

  Options options_;
  std::string address_;
};

/// The instance as its folder tells.
Result<runtime::Instance> describe(const InstanceFolder& folder);

/// Asks the supervisor to stop its instance and waits for the end of both; by force where it does not answer. Deletes
/// the control groups with what a killed supervisor may have left in them.
/// REQUIRES: the caller holds the folder's lock.
Result<void> stop_supervised(const InstanceFolder& folder, const Launch& launch, const Call& call);

}  // namespace k4t::process
