#include "client.hpp"

#include <cstdio>

namespace k4t::docker {
namespace {

/// API versions in which every call made here has the same meaning. The major number has been 1 since 2014.
constexpr int lowest_minor = 41;
constexpr int highest_minor = 51;
constexpr std::size_t body_limit_bytes = 64u << 20;
/// What Go's servers answer on a TLS port to plain HTTP.
constexpr const char* wants_tls = "HTTP request to an HTTPS server";

/// The minor of "1.41"; -1: not such a version.
int minor_of(const std::string& version) {
  int major = 0;
  int minor = -1;
  // NOLINTNEXTLINE(cert-err34-c): the widths leave no number that does not fit
  return std::sscanf(version.c_str(), "%4d.%4d", &major, &minor) == 2 && major == 1 ? minor : -1;
}

Status status_of(int http_status) {
  switch (http_status) {
    case 400:
    case 401:
    case 403: return Status::invalid_argument;
    case 404: return Status::not_found;
    case 409: return Status::conflict;
    default: return Status::unavailable;
  }
}

}  // namespace

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string Engine::Answer::message() const {
  const auto said = text_of(body, "message");
  return said.empty() ? "HTTP status " + std::to_string(status) : said;
}

Engine::Engine(http::Endpoint endpoint, std::string where)
    : plain_tcp_(endpoint.unix_path.empty() && !endpoint.tls),
      nearby_(!endpoint.tls && endpoint.host->name() == transport::local_host()->name()),
      client_(std::move(endpoint)),
      where_(std::move(where)) {}

/// Over SSH and TLS the reason has its own remedy.
Error Engine::out_of_reach(const Error& why) const {
  return Error{Status::unavailable,
               "cannot reach the Docker Engine at " + where_ + ": " + why.message + (nearby_ ? "; is it running?" : ""),
               why.detail};
}

Result<Engine::Answer> Engine::exchange(http::Request request, const Call& call) {
  request.timeout = call.remaining();
  request.cancelled = [&call] { return call.cancelled(); };
  request.body_limit_bytes = body_limit_bytes;
  const auto response = client_.send(request);
  if (!response && response.status() == Status::unavailable) {
    // What comes back at this address may be another version.
    const std::lock_guard lock(mutex_);
    version_.reset();
    return out_of_reach(response.error());
  }
  if (!response) return response.error().within("the Docker Engine at " + where_);
  if (plain_tcp_ && response->status == 400 && response->body.find(wants_tls) != std::string::npos) {
    return Error{Status::unavailable,
                 "the Docker Engine at " + where_ + " speaks TLS only: set options.tls with ca, cert and key",
                 {}};
  }
  Answer answer{response->status, Json::parse(response->body, nullptr, /*allow_exceptions=*/false), response->complete};
  if (answer.body.is_discarded()) answer.body = nullptr;
  return answer;
}

Result<std::string> Engine::version(const Call& call) {
  {
    const std::lock_guard lock(mutex_);
    if (version_) return *version_;
  }
  http::Request request;
  request.target = "/version";
  K4T_ASSIGN(const Answer answer, exchange(std::move(request), call));
  if (answer.status != 200) return refusal("cannot ask the Docker Engine for its version", answer);
  K4T_ASSIGN(const auto agreed, negotiate(answer.body));
  const std::lock_guard lock(mutex_);
  version_ = agreed;
  return agreed;
}

Result<Engine::Answer> Engine::send(const std::string& method, const std::string& path, const Json& body,
                                    const Call& call, OnBytes on_bytes, const std::string& registry_auth) {
  K4T_ASSIGN(const auto agreed, version(call));
  http::Request request;
  request.method = method;
  request.target = "/v" + agreed + path;
  if (!body.is_null()) {
    request.headers["Content-Type"] = "application/json";
    request.body = body.dump();
  }
  if (!registry_auth.empty()) request.headers["X-Registry-Auth"] = registry_auth;
  request.on_body = std::move(on_bytes);
  return exchange(std::move(request), call);
}

Result<Engine::Answer> Engine::load(http::BodySource tar, const Call& call, OnBytes on_bytes) {
  K4T_ASSIGN(const auto agreed, version(call));
  http::Request request;
  request.method = "POST";
  request.target = "/v" + agreed + "/images/load?quiet=0";
  request.headers["Content-Type"] = "application/x-tar";
  request.body_source = std::move(tar);
  request.on_body = std::move(on_bytes);
  return exchange(std::move(request), call);
}

Result<Json> Engine::get(const std::string& path, const Call& call) {
  K4T_ASSIGN(Answer answer, send("GET", path, nullptr, call));
  if (answer.status != 200) return refusal("the Docker Engine refused", answer);
  if (answer.body.is_null()) return Error{Status::unavailable, "the Docker Engine's answer is not understood", path};
  return std::move(answer.body);
}

Error Engine::refusal(const std::string& doing, const Answer& answer) {
  return Error{status_of(answer.status), doing + ": " + answer.message(), {}};
}

Result<std::string> negotiate(const Json& answer) {
  const auto newest = text_of(answer, "ApiVersion");
  const auto oldest = text_of(answer, "MinAPIVersion");
  const int high = std::min(minor_of(newest), highest_minor);
  if (minor_of(newest) < 0) return Error{Status::unavailable, "what answers is not a Docker Engine", {}};
  if (high < lowest_minor) {
    return Error{
        Status::unsupported, "the Docker Engine speaks API " + newest + ", too old: 1.41 is needed (Docker 20.10)", {}};
  }
  if (high < minor_of(oldest)) {
    return Error{Status::unsupported,
                 "the Docker Engine asks for at least API " + oldest + ", which is newer than this driver",
                 {}};
  }
  return "1." + std::to_string(high);
}

}  // namespace k4t::docker
