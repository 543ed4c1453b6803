#include <memory>

#include "k4t/runtime.hpp"
#include "process_driver.hpp"

/// The edge of the plugin: what it says of itself, and how a node is opened.

namespace {

using namespace k4t;

Manifest describe_plugin() {
  using namespace runtime;
  Manifest manifest;
  manifest.name = "process";
  manifest.version = "0.1.0";
  manifest.summary = "Instances as supervised processes of this machine, without a container engine";
  manifest.capabilities = {capability::limits_cpu, capability::limits_memory, capability::limits_pids,
                           capability::dns_servers, capability::exec};
  // Everything is in the instances' folders, which lock themselves.
  manifest.concurrent = true;
  manifest.options_schema = process::options_schema();
  return manifest;
}

Result<std::unique_ptr<runtime::Driver>> open_node(const OpenRequest& request, Call& /*call*/) {
  K4T_ASSIGN(auto options, process::read_options(request));
  return std::unique_ptr<runtime::Driver>(
      std::make_unique<process::ProcessDriver>(std::move(options), request.address));
}

}  // namespace

K4T_EXPORT_DRIVER(runtime::Kind, describe_plugin, open_node)
