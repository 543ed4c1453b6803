#include "plugin/library.hpp"

// The standard library's paths instead of another library.
#define BOOST_DLL_USE_STD_FS 1
#include <boost/dll/shared_library.hpp>

#include "plugin/contract.hpp"
#include "plugin/file_check.hpp"
#include "plugin/messages.hpp"
#include "plugin/runner.hpp"

namespace k4t::plugin {
namespace {

namespace fs = std::filesystem;
using boost::dll::shared_library;

/// The linker's own words, which Boost wraps into its message.
std::string linker_text(std::string_view text) {
  constexpr std::string_view kBefore = "(dlerror system message: ";
  const auto begin = text.find(kBefore);
  const auto end = text.rfind("): ");
  if (begin == std::string_view::npos || end == std::string_view::npos) return std::string(text);
  return std::string(text.substr(begin + kBefore.size(), end - begin - kBefore.size()));
}

/// Never destroyed, so that no code is unloaded while one of its threads may still run.
Result<shared_library*> link(const fs::path& file) {
  auto library = std::make_unique<shared_library>();
  try {
    library->load(file, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  } catch (const std::exception& error) {
    return file_error(Status::invalid_argument, id::not_linkable, file, "cannot be linked",
                      "Install the libraries that it needs ('ldd " + file.string() + "' names them)",
                      linker_text(error.what()));
  }
  return library.release();
}

Result<const void*> find_table(const fs::path& file, const shared_library& library) {
  if (library.has(K4T_DRIVER_SYMBOL)) return static_cast<const void*>(&library.get<const char>(K4T_DRIVER_SYMBOL));
  constexpr unsigned kNewestMajor = 9;
  for (unsigned major = 0; major <= kNewestMajor; ++major) {
    if (major == K4T_ABI_MAJOR || !library.has("k4t_driver_v" + std::to_string(major))) continue;
    return file_error(
        Status::invalid_argument, id::other_major, file,
        "is for major version " + std::to_string(major) + " of the driver interface; this k4t has " +
            std::to_string(K4T_ABI_MAJOR),
        major > K4T_ABI_MAJOR ? "Upgrade k4t, or install an older plugin" : "Install a newer version of the plugin");
  }
  return file_error(Status::invalid_argument, id::no_symbol, file,
                    std::string("is not a k4t plugin: it has no symbol ") + K4T_DRIVER_SYMBOL,
                    "Remove it from the folder of plugins; authors: see K4T_EXPORT_DRIVER");
}

Result<k4t_driver> checked_table(const fs::path& file, const void* symbol) {
  const auto table = read_by_size<k4t_driver>(symbol);
  // Minor 0 ends with `close`; what later minors append may be missing.
  constexpr std::size_t kMinorZeroBytes = offsetof(k4t_driver, close) + sizeof(table.close);
  if (table.size < kMinorZeroBytes) {
    return file_error(Status::invalid_argument, id::short_table, file,
                      "has a driver table of " + std::to_string(table.size) + " bytes, the least is " +
                          std::to_string(kMinorZeroBytes),
                      "Rebuild the plugin with its size field set to sizeof(k4t_driver)");
  }
  if (table.min_host_minor > K4T_ABI_MINOR) {
    return file_error(Status::invalid_argument, id::host_too_old, file,
                      "needs driver interface 1." + std::to_string(table.min_host_minor) + "; this k4t has 1." +
                          std::to_string(K4T_ABI_MINOR),
                      "Upgrade k4t, or install an older plugin");
  }
  const char* missing = table.describe == nullptr ? "describe"
                        : table.open == nullptr   ? "open"
                        : table.call == nullptr   ? "call"
                        : table.close == nullptr  ? "close"
                                                  : nullptr;
  if (missing != nullptr) {
    return file_error(Status::invalid_argument, id::null_function, file,
                      std::string("has no function '") + missing + "' in its driver table",
                      "Rebuild the plugin with all four functions");
  }
  return table;
}

Result<Json> ask_manifest(const fs::path& file, const k4t_driver& table, std::chrono::milliseconds timeout) {
  Runner runner(1, nullptr);
  const Ran ran = runner.run([table](const k4t_call* call) { return table.describe(call); }, {timeout, nullptr});
  if (ran.ending == Ending::overran || ran.ending == Ending::not_begun) {
    return file_error(Status::deadline, id::describe_hangs, file,
                      "did not describe itself within " + std::to_string(timeout.count()) + " ms",
                      "Report it to the plugin's author; describe must connect to nothing");
  }
  if (!ran.outcome) {
    return file_error(Status::fatal, id::describe_failed, file, "failed to describe itself",
                      "Report it to the plugin's author", ran.outcome.error().message);
  }
  return *ran.outcome;
}

Result<Manifest> checked_manifest(const fs::path& file, const Json& json) {
  if (const auto issues = check_manifest(json); !issues.empty()) {
    return file_error(Status::fatal, id::bad_manifest, file, "has a manifest that does not fit its schema",
                      "Report it to the plugin's author", text_of(issues));
  }
  auto manifest = decode<Manifest>(json);
  if (!manifest) {
    return file_error(Status::fatal, id::bad_manifest, file, "has a manifest that does not fit its schema",
                      "Report it to the plugin's author", manifest.error().message);
  }
  const std::string api(api_of(manifest->kind));
  if (std::find(manifest->apis.begin(), manifest->apis.end(), api) == manifest->apis.end()) {
    std::string offered;
    for (const auto& one : manifest->apis) offered += (offered.empty() ? "" : ", ") + one;
    return file_error(Status::invalid_argument, id::other_api, file, "speaks " + offered + "; this k4t speaks " + api,
                      "Install a version of the plugin that speaks " + api);
  }
  return manifest;
}

}  // namespace

Result<std::shared_ptr<const Library>> Library::load(const fs::path& file, std::chrono::milliseconds describe_timeout) {
  K4T_ASSIGN(const fs::path path, check_file(file));
  K4T_ASSIGN(const shared_library* linked, link(path));
  K4T_ASSIGN(const void* symbol, find_table(path, *linked));
  K4T_ASSIGN(const k4t_driver table, checked_table(path, symbol));
  K4T_ASSIGN(const Json json, ask_manifest(path, table, describe_timeout));
  K4T_ASSIGN(Manifest manifest, checked_manifest(path, json));
  return std::shared_ptr<const Library>(new Library(path, table, std::move(manifest)));
}

}  // namespace k4t::plugin
