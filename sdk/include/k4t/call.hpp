#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "k4t/driver.h"
#include "k4t/json.hpp"

namespace k4t {

enum class LogLevel : std::int32_t { trace = 0, debug = 1, info = 2, warning = 3, error = 4 };

/// How far a long call has come, e.g. a pull: {"step": "pull", "text": "layer 3a1f", "done": 4096, "total": 9000,
/// "unit": "bytes"}. `total` 0: not known.
struct Progress {
  std::string step;
  std::string text;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  std::string unit;
};
K4T_SDK_JSON(Progress, step, text, done, total, unit)

enum class Channel : std::int32_t { out = 1, err = 2 };

/// What a driver sees of the call that it is serving: the time left, whether the caller gave up, and the callbacks.
/// Valid during the call only; one thread at a time.
class Call {
 public:
  /// `raw` must outlive this object.
  explicit Call(const k4t_call& raw) : raw_(raw), begun_(Clock::now()) {}

  /// Time left before the deadline, never negative; `fallback` where the caller set none.
  [[nodiscard]] std::chrono::milliseconds remaining(
      std::chrono::milliseconds fallback = std::chrono::minutes(10)) const {
    const auto whole = raw_.timeout_ms == 0 ? fallback : std::chrono::milliseconds(raw_.timeout_ms);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(begun_ + whole - Clock::now());
    return std::max(left, std::chrono::milliseconds(0));
  }

  /// True when the call should end soon with DEADLINE: its caller gave up or its time is over.
  [[nodiscard]] bool cancelled() const {
    return (raw_.cancelled != nullptr && raw_.cancelled(raw_.host) != 0) ||
           (raw_.timeout_ms != 0 && remaining().count() == 0);
  }

  /// Diagnostics for the operator's log. Never a secret.
  void log(LogLevel level, std::string_view text) const {
    if (raw_.log != nullptr) raw_.log(raw_.host, static_cast<std::int32_t>(level), text.data(), text.size());
  }

  void progress(const Progress& progress) const;

  /// Passes on a piece of a stream (logs, exec). False: the caller wants no more, end the call with success.
  [[nodiscard]] bool stream(Channel channel, std::string_view bytes) const {
    return raw_.stream != nullptr &&
           raw_.stream(raw_.host, static_cast<std::int32_t>(channel), bytes.data(), bytes.size()) == K4T_OK;
  }

 private:
  using Clock = std::chrono::steady_clock;
  const k4t_call& raw_;
  Clock::time_point begun_;
};

/// What the calling side does with a call's callbacks. The defaults ignore everything and never cancel.
/// Called on the thread that runs the call.
class CallSink {
 public:
  virtual ~CallSink() = default;
  virtual bool cancelled() { return false; }
  virtual void log(LogLevel /*level*/, std::string_view /*text*/) {}
  virtual void progress(const Progress& /*progress*/) {}
  /// False: no more of the stream is wanted.
  virtual bool stream(Channel /*channel*/, std::string_view /*bytes*/) { return true; }
};

struct CallOptions {
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
  CallSink* sink = nullptr;  ///< not owned; nullptr: the defaults of CallSink
};

/// One opened driver handle as its callers see it. Thread-safe: calls are serialised where the driver needs it.
class Callee {
 public:
  virtual ~Callee() = default;
  virtual Result<Json> call(std::string_view method, const JsonText& request, const CallOptions& options) = 0;
};

/// The calling side of one C call: lends the callbacks and keeps the reply. Neither copyable nor movable, because the
/// plugin holds its address while the call lasts.
class HostCall {
 public:
  explicit HostCall(const CallOptions& options);
  HostCall(const HostCall&) = delete;
  HostCall& operator=(const HostCall&) = delete;

  [[nodiscard]] const k4t_call* raw() const { return &raw_; }

  /// The reply as JSON, or the error that the status and the reply make. Trusts nothing that the driver said.
  [[nodiscard]] Result<Json> finish(k4t_status status) const;

 private:
  static HostCall& self(void* host) { return *static_cast<HostCall*>(host); }

  void on_progress(std::string_view text);

  CallSink silent_;
  CallSink& sink_;
  k4t_call raw_{};
  std::string reply_;
};

#if K4T_SDK_BODIES
K4T_SDK_INLINE void Call::progress(const Progress& progress) const {
  if (raw_.progress == nullptr) return;
  const std::string text = Json(progress).dump(-1, ' ', false, Json::error_handler_t::replace);
  raw_.progress(raw_.host, text.data(), text.size());
}

K4T_SDK_INLINE HostCall::HostCall(const CallOptions& options)
    : sink_(options.sink != nullptr ? *options.sink : silent_) {
  raw_.size = sizeof raw_;
  raw_.timeout_ms = static_cast<std::uint32_t>(std::clamp<std::int64_t>(options.timeout.count(), 0, UINT32_MAX));
  raw_.host = this;
  raw_.cancelled = [](void* host) -> std::int32_t { return self(host).sink_.cancelled() ? 1 : 0; };
  raw_.reply = [](void* host, const char* json, std::size_t bytes) { self(host).reply_.assign(json, bytes); };
  raw_.log = [](void* host, std::int32_t level, const char* text, std::size_t bytes) {
    self(host).sink_.log(static_cast<LogLevel>(std::clamp(level, 0, 4)), {text, bytes});
  };
  raw_.progress = [](void* host, const char* json, std::size_t bytes) { self(host).on_progress({json, bytes}); };
  raw_.stream = [](void* host, std::int32_t channel, const char* data, std::size_t bytes) -> k4t_status {
    const auto to = channel == static_cast<std::int32_t>(Channel::err) ? Channel::err : Channel::out;
    return self(host).sink_.stream(to, {data, bytes}) ? K4T_OK : K4T_DEADLINE;
  };
}

K4T_SDK_INLINE Result<Json> HostCall::finish(k4t_status status) const {
  const bool known = status >= K4T_OK && status <= K4T_FATAL;
  Json reply = Json::parse(reply_.empty() ? "{}" : reply_, nullptr, /*allow_exceptions=*/false);
  if (!known) return Error{Status::fatal, "the driver returned the undefined status " + std::to_string(status), {}};
  if (status == K4T_OK) {
    if (reply.is_discarded()) return Error{Status::fatal, "the driver's reply is not JSON", reply_.substr(0, 200)};
    return reply;
  }
  Error error{static_cast<Status>(status), "the driver gave no reason", {}};
  if (reply.is_object()) {
    if (const auto it = reply.find("message"); it != reply.end() && it->is_string()) error.message = *it;
    if (const auto it = reply.find("detail"); it != reply.end() && it->is_string()) error.detail = *it;
  }
  return error;
}

K4T_SDK_INLINE void HostCall::on_progress(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return;
  if (const auto progress = decode<Progress>(json)) sink_.progress(*progress);
}
#endif

namespace detail {

/// FATAL: a reply of a type that the contract does not know.
Error unfit_reply(std::string_view method, const Error& cause);
#if K4T_SDK_BODIES
K4T_SDK_INLINE Error unfit_reply(std::string_view method, const Error& cause) {
  return Error{Status::fatal, "the driver's reply to '" + std::string(method) + "' does not fit its schema",
               cause.message};
}
#endif

}  // namespace detail

/// A method of the contract: its name on the wire and the types that travel. `invoke<M>` is its calling side.
template <class M>
Result<typename M::Reply> invoke(Callee& callee, const typename M::Request& request, const CallOptions& options = {}) {
  auto reply = callee.call(M::name, JsonText::of(request), options);
  if (!reply) return reply.error();
  auto decoded = decode<typename M::Reply>(*reply);
  if (!decoded) return detail::unfit_reply(M::name, decoded.error());
  return decoded;
}

/// For methods that ask or answer nothing.
struct Nothing {
  friend bool operator==(const Nothing&, const Nothing&) = default;
};
K4T_JSON_EMPTY(Nothing)

}  // namespace k4t
