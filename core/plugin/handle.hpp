#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "plugin/library.hpp"
#include "plugin/runner.hpp"

/// One opened driver: what the rest of core calls.

namespace k4t::plugin {

/// Trusts nothing that a plugin says or does, as far as one process allows (see runner.hpp for the limits):
///  - calls are serialised, or run up to 16 at a time where the manifest says "concurrent";
///  - DEADLINE when the plugin is not back in time, be it stuck or slow; UNAVAILABLE when an earlier call of this
///  handle
///    is in its way until then (nothing was begun);
///  - a reply that does not fit its schema, an exception, or FATAL said by the plugin: FATAL, and the handle is not
///  used
///    again.
/// Messages name the plugin and the thing that it was opened for. Thread-safe. The destructor closes it, or leaves that
/// to a thread if calls are stuck.
class Handle final : public Callee {
 public:
  /// Opens the driver; a plugin that hangs in there is DEADLINE.
  static Result<std::unique_ptr<Handle>> open(std::shared_ptr<const Library> library, const OpenRequest& request,
                                              const CallOptions& options = {});

  Result<Json> call(std::string_view method, const JsonText& request, const CallOptions& options) override;

  [[nodiscard]] const Library& library() const { return *library_; }
  /// The configured thing's name.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  struct Opened;
  Handle(std::shared_ptr<const Library> library, std::string name);

  [[nodiscard]] Result<Json> judge(std::string_view method, const CallOptions& options, Ran ran);
  Error poison(Error error);
  [[nodiscard]] std::string subject() const;

  std::shared_ptr<const Library> library_;
  std::string name_;
  std::shared_ptr<Opened> opened_;
  Runner runner_;
  std::mutex mutex_;
  std::optional<std::string> poison_;  ///< why the handle is not used any more
};

}  // namespace k4t::plugin
