#include "options.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include "k4t/options.hpp"

namespace k4t::process {
namespace {

/// Where the supervisor is, from the folder of the library or program that holds this code: beside it (tests), as in a
/// build folder, as installed.
std::string find_supervisor() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&find_supervisor), &info) == 0 || info.dli_fname == nullptr) return {};
  const std::string file = info.dli_fname;
  const auto slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash);
  for (const char* place : {"/k4t-supervise", "/../bin/k4t-supervise", "/" K4T_SUPERVISE_FROM_PLUGIN}) {
    if (::access((folder + place).c_str(), X_OK) == 0) return folder + place;
  }
  return {};
}

}  // namespace

Json options_schema() {
  const Options defaults;
  return option::schema(
      {{"folder", option::path("Absolute folder in which instances, their states and logs are kept; one per node. "
                               "Default: /var/lib/k4t/process/<the node's name>.")},
       {"supervisor", option::path("Absolute path of k4t-supervise. Default: looked for beside the plugin.")},
       {"images",
        {{"type", "object"},
         {"additionalProperties", option::path("")},
         {"description",
          "The program that stands for an image here: {\"shop/web\" = \"/usr/bin/shop-web\"}. It takes the place of "
          "the entrypoint's first word."}}},
       {"log_file_bytes", option::number("Size of an instance's log file, of which the last full one is kept too.",
                                         65536, 1073741824, defaults.log_file_bytes)}});
}

Result<Options> read_options(const OpenRequest& request) {
  K4T_ASSIGN(auto options, decode<Options>(request.options));
  if (options.folder.empty()) options.folder = "/var/lib/k4t/process/" + request.name;
  if (options.supervisor.empty()) options.supervisor = find_supervisor();
  if (!options.folder.starts_with('/') || options.folder.find('\0') != std::string::npos) {
    return Error{Status::invalid_argument, "options.folder '" + options.folder + "' is not an absolute path", {}};
  }
  while (options.folder.size() > 1 && options.folder.ends_with('/')) options.folder.pop_back();
  return options;
}

}  // namespace k4t::process
