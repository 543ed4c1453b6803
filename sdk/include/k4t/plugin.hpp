#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "k4t/call.hpp"

/// The authoring side, common to all kinds. An author includes the header of the kind and writes
///
///     K4T_EXPORT_DRIVER(k4t::gateway::Kind, my_manifest, open_my_driver)
///
/// in one source file; everything here catches exceptions, so an author may let them fly.

namespace k4t {

/// What a plugin says of itself before anything is opened (sdk/schema/manifest.json).
struct Manifest {
  std::string name;                       ///< the vendor's short name, as users write it in `driver = "…"`
  std::string kind;                       ///< "runtime", "gateway", "dns" or "power"; filled in by K4T_EXPORT_DRIVER
  std::string version;                    ///< the plugin's own version, for people
  std::string summary;                    ///< one line for `k4t plugin ls`
  std::vector<std::string> apis;          ///< e.g. {"gateway.v1"}; filled in by K4T_EXPORT_DRIVER
  std::vector<std::string> capabilities;  ///< feature names, see the kind's header
  bool concurrent = false;                ///< calls on one handle may run in parallel
  /// JSON Schema (draft 7) of the options in k4t.toml. A string with `"k4t-file": true` beside its type names a file of
  /// the master's machine: k4t puts it into encrypted copies of its metadata, so that a lost master comes back with it.
  /// k4t/options.hpp has words for it.
  Json options_schema = Json::object();
};
K4T_SDK_JSON(Manifest, name, kind, version, summary, apis, capabilities, concurrent, options_schema)

/// What a driver is opened with: the configured thing's table in k4t.toml.
struct OpenRequest {
  std::string cluster;
  std::string domain;   ///< the cluster's DNS suffix, fully qualified, lower case, without the final dot
  std::string name;     ///< the thing's name, unique in the cluster
  std::string address;  ///< gateway: where it accepts connections; dns: where it answers; node: where instances answer
  Json options = Json::object();  ///< `options` of the table; has passed the manifest's options schema
};
K4T_SDK_JSON(OpenRequest, cluster, domain, name, address, options)

/// Serves one method per `on`; the first name that matches decides. Used by the kinds' dispatch functions.
class Dispatch {
 public:
  /// `request`: JSON text.
  Dispatch(std::string_view method, std::string_view request) : method_(method), request_(request) {}

  /// `serve` takes `const M::Request&` and returns `Result<M::Reply>`.
  template <class M, class Serve>
  Dispatch& on(Serve&& serve) {
    if (served_ || method_ != M::name) return *this;
    served_ = true;
    auto request = decode_text<typename M::Request>(request_);
    if (!request) {
      outcome_ = request.error();
      return *this;
    }
    auto reply = std::forward<Serve>(serve)(*request);
    if (reply) {
      outcome_ = Json(*reply);
    } else {
      outcome_ = reply.error();
    }
    return *this;
  }

  [[nodiscard]] Result<Json> outcome() const;

 private:
  std::string_view method_;
  std::string_view request_;
  bool served_ = false;
  Result<Json> outcome_ = Json::object();
};
#if K4T_SDK_BODIES
K4T_SDK_INLINE Result<Json> Dispatch::outcome() const {
  if (served_) return outcome_;
  return Error{Status::unsupported, "this driver has no method '" + std::string(method_) + "'", {}};
}
#endif

namespace detail {

/// Replies to the call with the outcome.
k4t_status answer(const k4t_call* call, const Result<Json>& outcome);

#if K4T_SDK_BODIES
K4T_SDK_INLINE k4t_status answer(const k4t_call* call, const Result<Json>& outcome) {
  const Json json = outcome ? *outcome : Json{{"message", outcome.error().message}, {"detail", outcome.error().detail}};
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (call->reply != nullptr) call->reply(call->host, text.data(), text.size());
  return static_cast<k4t_status>(outcome.status());
}
#endif

/// Runs `body` and answers with what it returns; an exception becomes FATAL, for none may cross the boundary.
template <class Body>
k4t_status guarded(const k4t_call* call, Body&& body) noexcept {
  try {
    return answer(call, std::forward<Body>(body)());
  } catch (const std::exception& error) {
    try {
      return answer(call, Error{Status::fatal, std::string("the driver failed: ") + error.what(), {}});
    } catch (...) {
      return K4T_FATAL;
    }
  } catch (...) {
    return K4T_FATAL;
  }
}

}  // namespace detail

/// The C entry points of one driver. `Kind` is k4t::gateway::Kind and the like: its Driver class, API name and
/// dispatch. `Describe` returns the Manifest, `Open` takes (const OpenRequest&, Call&) and returns
/// Result<std::unique_ptr<Kind::Driver>>; it connects to nothing, so that a server that is down fails calls, not opens.
template <class Kind, auto Describe, auto Open>
struct Exported {
  using Driver = typename Kind::Driver;

  static k4t_status describe(const k4t_call* call) noexcept {
    return detail::guarded(call, []() -> Result<Json> {
      Manifest manifest = Describe();
      manifest.kind = Kind::name;
      manifest.apis = {std::string(Kind::api)};
      return Json(manifest);
    });
  }

  static k4t_status open(const k4t_call* call, const char* request, std::size_t bytes, void** handle) noexcept {
    return detail::guarded(call, [&]() -> Result<Json> {
      Call context(*call);
      K4T_ASSIGN(const auto decoded, decode_text<OpenRequest>({request, bytes}));
      Result<std::unique_ptr<Driver>> opened = Open(decoded, context);
      if (!opened) return opened.error();
      *handle = std::move(opened).value().release();
      return Json::object();
    });
  }

  static k4t_status call(void* handle, const k4t_call* call, const char* method, std::size_t method_bytes,
                         const char* request, std::size_t request_bytes) noexcept {
    return detail::guarded(call, [&]() -> Result<Json> {
      Call context(*call);
      return Kind::dispatch(*static_cast<Driver*>(handle), {method, method_bytes}, {request, request_bytes}, context);
    });
  }

  static void close(void* handle) noexcept { delete static_cast<Driver*>(handle); }

  static constexpr k4t_driver table{sizeof(k4t_driver), K4T_ABI_MINOR, 0, 0, &describe, &open, &call, &close};
};

/// Calls a driver object in this process without a library in between: for drivers' own tests.
template <class Kind>
class DirectCallee final : public Callee {
 public:
  explicit DirectCallee(typename Kind::Driver& driver) : driver_(driver) {}

  Result<Json> call(std::string_view method, const JsonText& request, const CallOptions& options) override {
    if (!request.ok()) return Error{Status::invalid_argument, "the request is not UTF-8", {}};
    HostCall host(options);
    Call context(*host.raw());
    return Kind::dispatch(driver_, method, request.text(), context);
  }

 private:
  typename Kind::Driver& driver_;
};

}  // namespace k4t

#define K4T_EXPORT_DRIVER(KIND, DESCRIBE, OPEN)                                  \
  extern "C" {                                                                   \
  K4T_EXPORT extern const k4t_driver k4t_driver_v1;                              \
  const k4t_driver k4t_driver_v1 = ::k4t::Exported<KIND, DESCRIBE, OPEN>::table; \
  }
