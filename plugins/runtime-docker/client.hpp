#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "k4t/call.hpp"
#include "k4t/http.hpp"
#include "k4t/json.hpp"

namespace k4t::docker {

/// The object's member if it is a string, else empty; for any value, object or not.
std::string text_of(const Json& object, const char* name);

/// One Docker Engine. Thread-safe. Speaks the highest API version that both sides know, which is asked for at the first
/// call and again after the engine was out of reach.
class Engine {
 public:
  Engine(http::Endpoint endpoint, std::string where);

  struct Answer {
    int status = 0;
    Json body;             ///< null where there was none or it was not JSON
    bool complete = true;  ///< a stream was read to its end
    /// The engine's words where it refused.
    [[nodiscard]] std::string message() const;
  };

  using OnBytes = std::function<bool(std::string_view)>;

  /// Sends to "/v1.xx" + `path`. `body` null: none. UNAVAILABLE: "cannot reach the Docker Engine at …"; any answer of
  /// the engine is a success. `on_bytes` takes a 2xx body instead of `Answer::body`. `registry_auth`: the header of a
  /// pull with a login.
  Result<Answer> send(const std::string& method, const std::string& path, const Json& body, const Call& call,
                      OnBytes on_bytes = {}, const std::string& registry_auth = {});

  /// POST /images/load of such a tar; `on_bytes` takes what the engine says.
  Result<Answer> load(http::BodySource tar, const Call& call, OnBytes on_bytes);

  /// send() for what must answer 2xx with JSON; other answers become errors (see refusal).
  Result<Json> get(const std::string& path, const Call& call);

  /// The error that an answer other than 2xx stands for; `doing` as in "cannot start web-1".
  static Error refusal(const std::string& doing, const Answer& answer);

 private:
  Result<std::string> version(const Call& call);
  Result<Answer> exchange(http::Request request, const Call& call);
  [[nodiscard]] Error out_of_reach(const Error& why) const;

  const bool plain_tcp_;  ///< without TLS
  const bool nearby_;     ///< a socket of this machine, about which connecting tells little
  http::Client client_;
  const std::string where_;
  std::mutex mutex_;
  std::optional<std::string> version_;  ///< guarded by mutex_
};

/// The highest version in both ranges, e.g. "1.41"; UNSUPPORTED where there is none. `answer` is that of GET /version.
Result<std::string> negotiate(const Json& answer);

}  // namespace k4t::docker
