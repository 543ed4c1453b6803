#include "plugin/handle.hpp"

#include <atomic>
#include <utility>

#include "plugin/contract.hpp"
#include "plugin/messages.hpp"

namespace k4t::plugin {
namespace {

constexpr std::size_t kConcurrentCalls = 16;

std::string with_id(std::string_view message_id, const std::string& text) {
  return std::string(message_id) + ": " + text;
}

}  // namespace

/// What outlives the Handle while a call is stuck in the plugin.
struct Handle::Opened {
  std::shared_ptr<const Library> library;
  std::atomic<void*> raw = nullptr;

  void close() {
    if (void* handle = raw.exchange(nullptr); handle != nullptr) library->table().close(handle);
  }
};

Handle::Handle(std::shared_ptr<const Library> library, std::string name)
    : library_(std::move(library)),
      name_(std::move(name)),
      opened_(std::make_shared<Opened>()),
      runner_(library_->manifest().concurrent ? kConcurrentCalls : 1, [opened = opened_] { opened->close(); }) {
  opened_->library = library_;
}

std::string Handle::subject() const {
  const Manifest& manifest = library_->manifest();
  return manifest.kind + " '" + name_ + "' (driver " + manifest.name + ")";
}

Result<std::unique_ptr<Handle>> Handle::open(std::shared_ptr<const Library> library, const OpenRequest& request,
                                             const CallOptions& options) {
  std::unique_ptr<Handle> handle(new Handle(std::move(library), request.name));
  auto body = [opened = handle->opened_, text = Json(request).dump()](const k4t_call* call) {
    void* raw = nullptr;
    const k4t_status status = opened->library->table().open(call, text.data(), text.size(), &raw);
    if (status == K4T_OK) opened->raw = raw;
    return status;
  };
  const Ran ran = handle->runner_.run(std::move(body), options);
  if (ran.ending == Ending::returned && ran.outcome) {
    if (handle->opened_->raw != nullptr) return handle;
    return Error{Status::fatal,
                 with_id(id::open_failed, handle->subject() + ": the driver opened nothing and called it "
                                                              "a success. Report it to its author."),
                 handle->library_->path().string()};
  }
  Error error = ran.outcome.error();
  const Status status = ran.ending == Ending::returned ? error.status
                        : ran.ending == Ending::threw  ? Status::fatal
                                                       : Status::deadline;
  error.detail = error.detail.empty() ? handle->library_->path().string() : error.detail;
  return Error{status, with_id(id::open_failed, handle->subject() + ": cannot be opened: " + error.message),
               error.detail};
}

Result<Json> Handle::call(std::string_view method, const JsonText& request, const CallOptions& options) {
  {
    const std::lock_guard lock(mutex_);
    if (poison_) {
      return Error{Status::fatal,
                   with_id(id::poisoned, subject() + " is not used any more. Run the command again; if "
                                                     "it happens again, report it to the driver's author."),
                   *poison_};
    }
  }
  if (!request.ok()) {
    return Error{Status::invalid_argument,
                 with_id(id::bad_request, subject() + ": the request '" + std::string(method) + "' is not UTF-8"),
                 {}};
  }
  auto body = [opened = opened_, name = std::string(method), text = request.text()](const k4t_call* call) {
    return opened->library->table().call(opened->raw, call, name.data(), name.size(), text.data(), text.size());
  };
  return judge(method, options, runner_.run(std::move(body), options));
}

Result<Json> Handle::judge(std::string_view method, const CallOptions& options, Ran ran) {
  const std::string what = subject() + ": '" + std::string(method) + "'";
  const std::string limit = std::to_string(options.timeout.count()) + " ms";
  switch (ran.ending) {
    case Ending::overran:
      return Error{
          Status::deadline,
          with_id(id::overran, what + " did not return in time; whether it had an effect is not known. Look at "
                                      "the machine, or give it more time."),
          "the time was " + limit};
    case Ending::not_begun:
      return Error{Status::unavailable,
                   with_id(id::occupied, what + " was not begun: an earlier call of this driver is still running. Try "
                                                "again; if it stays so, end k4t and look at the machine."),
                   "the time was " + limit};
    case Ending::threw:
      return poison({Status::fatal,
                     with_id(id::threw, what + ": the driver threw an exception. Report it to its author."),
                     ran.outcome.error().message});
    case Ending::returned: break;
  }
  if (!ran.outcome) {
    if (ran.outcome.error().status == Status::fatal) return poison(ran.outcome.error().within(subject()));
    return ran.outcome;
  }
  const auto issues = check_reply(library_->manifest().kind, method, *ran.outcome);
  if (issues.empty()) return ran.outcome;
  return poison({Status::fatal,
                 with_id(id::bad_reply, what + ": the reply does not fit its schema at " + text_of(issues) +
                                            ". Report it to the driver's author."),
                 library_->path().string()});
}

Error Handle::poison(Error error) {
  const std::lock_guard lock(mutex_);
  if (!poison_) poison_ = error.message;
  return error;
}

}  // namespace k4t::plugin
