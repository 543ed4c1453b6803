#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "connection.hpp"
#include "tls.hpp"

namespace k4t::http {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t idle_limit = 8;
constexpr milliseconds connect_patience{10'000};  ///< connecting cannot be cancelled, so it must not take long

std::string authority_of(const Endpoint& endpoint) {
  if (!endpoint.unix_path.empty()) return "localhost";
  const bool is_v6 = endpoint.address.find(':') != std::string::npos;
  return (is_v6 ? "[" + endpoint.address + "]" : endpoint.address) + ":" + std::to_string(endpoint.port);
}

std::string where_of(const Endpoint& endpoint) {
  if (!endpoint.unix_path.empty()) return "unix://" + endpoint.unix_path;
  return (endpoint.tls ? "https://" : "http://") + authority_of(endpoint);
}

}  // namespace

Result<void> check_tls(const Tls& tls) {
  const auto loaded = TlsContext::load(tls);
  if (!loaded) return loaded.error();
  return {};
}

struct Client::Impl {
  explicit Impl(Endpoint to) : endpoint(std::move(to)), authority(authority_of(endpoint)), where(where_of(endpoint)) {}

  /// A kept connection that is still good, or nothing.
  std::unique_ptr<Connection> take_idle() {
    const std::lock_guard lock(mutex);
    while (!idle.empty()) {
      auto connection = std::move(idle.back());
      idle.pop_back();
      if (connection->still_idle()) return connection;
    }
    return nullptr;
  }

  void keep(std::unique_ptr<Connection> connection) {
    const std::lock_guard lock(mutex);
    if (idle.size() < idle_limit) idle.push_back(std::move(connection));
  }

  Result<std::shared_ptr<const TlsContext>> tls_context() {
    const std::lock_guard lock(mutex);
    if (tls == nullptr) {
      K4T_ASSIGN(tls, TlsContext::load(*endpoint.tls));
    }
    return tls;
  }

  Result<std::unique_ptr<Connection>> connect(milliseconds timeout) {
    const auto until = Clock::now() + timeout;
    auto stream = endpoint.unix_path.empty() ? endpoint.host->connect_tcp(endpoint.address, endpoint.port, timeout)
                                             : endpoint.host->connect_unix(endpoint.unix_path, timeout);
    if (!stream) return stream.error();
    if (!endpoint.tls) return std::make_unique<Connection>(*std::move(stream), where);
    K4T_ASSIGN(const auto context, tls_context());
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    auto secured = context->secure(*std::move(stream), endpoint.address, std::max(left, milliseconds(0)));
    if (!secured) return secured.error().within(where);
    return std::make_unique<Connection>(*std::move(secured), where);
  }

  Result<Response> exchange(std::unique_ptr<Connection> connection, const Request& request, Clock::time_point until,
                            bool* silent) {
    auto outcome = connection->exchange(request, authority, until);
    if (outcome.reusable) keep(std::move(connection));
    *silent = outcome.silent && outcome.response.status() == Status::unavailable;
    return std::move(outcome.response);
  }

  const Endpoint endpoint;
  const std::string authority;
  const std::string where;
  std::mutex mutex;
  std::vector<std::unique_ptr<Connection>> idle;  ///< guarded by mutex
  std::shared_ptr<const TlsContext> tls;          ///< guarded by mutex; nullptr: not read yet
};

Client::Client(Endpoint endpoint) : impl_(std::make_unique<Impl>(std::move(endpoint))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

const std::string& Client::where() const { return impl_->where; }

Result<Response> Client::send(const Request& request) {
  const auto until = Clock::now() + request.timeout;
  K4T_TRY(check(request));
  bool silent = false;
  if (auto kept = request.body_source ? nullptr : impl_->take_idle()) {
    auto response = impl_->exchange(std::move(kept), request, until, &silent);
    // The server may have closed it while the request was on its way. Only what changes nothing is said twice.
    if (!silent || (request.method != "GET" && request.method != "HEAD")) return response;
  }
  const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
  K4T_ASSIGN(auto connection, impl_->connect(std::clamp(left, milliseconds(0), connect_patience)));
  return impl_->exchange(std::move(connection), request, until, &silent);
}

Result<int> probe(const std::string& address, std::uint16_t port, const std::string& path, milliseconds timeout) {
  Endpoint endpoint;
  endpoint.address = address;
  endpoint.port = port;
  Request request;
  request.target = path;
  request.headers["Connection"] = "close";
  request.timeout = timeout;
  request.skip_body = true;
  K4T_ASSIGN(const auto response, Client(std::move(endpoint)).send(request));
  return response.status;
}

Result<void> probe_tcp(const std::string& address, std::uint16_t port, milliseconds timeout) {
  const auto stream = transport::local_host()->connect_tcp(address, port, timeout);
  if (!stream) return stream.error();
  return {};
}

}  // namespace k4t::http
