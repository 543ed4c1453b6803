#include "ssh_dial.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <thread>

namespace k4t::transport {
namespace {

using std::chrono::milliseconds;

/// How long one of several addresses may be silent.
constexpr milliseconds address_patience{3000};

struct AddressesDeleter {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, AddressesDeleter>;

/// A look-up in the system's resolver, which cannot be hurried: its thread may outlive whoever asked.
struct LookUp {
  explicit LookUp(const SshTarget& target) : host(target.host), port(std::to_string(target.port)) {}
  void run(int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
    addresses.reset(code == 0 ? list : nullptr);
  }
  const std::string host;
  const std::string port;
  const Fd done{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  int code = 0;
  Addresses addresses;
};

Result<Addresses> resolve(const SshTarget& target, const Wait& wait) {
  const auto looking = std::make_shared<LookUp>(target);
  looking->run(AI_NUMERICHOST);
  if (looking->addresses != nullptr) return std::move(looking->addresses);
  std::thread([looking] {
    looking->run(0);
    ::eventfd_write(looking->done.get(), 1);
  }).detach();
  for (eventfd_t count = 0; ::eventfd_read(looking->done.get(), &count) != 0;) {
    K4T_TRY(wait(looking->done.get(), POLLIN, address_patience));
  }
  if (looking->addresses != nullptr) return std::move(looking->addresses);
  return Error{Status::unavailable,
               target.url() + ": the name " + target.host + " has no address: " + ::gai_strerror(looking->code),
               {}};
}

Error no_connection(const SshTarget& target, int number) {
  Error error = system_error(target.url() + ": cannot connect", number);
  error.status = Status::unavailable;
  return error;
}

Result<Fd> dial_one(const SshTarget& target, const addrinfo& address, const Wait& wait, milliseconds patience) {
  Fd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.open()) return no_connection(target, errno);
  const int yes = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS) return no_connection(target, errno);
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return no_connection(target, ETIMEDOUT);
    K4T_TRY(wait(fd.get(), POLLOUT, left));
    pollfd ready{fd.get(), POLLOUT, 0};
    if (::poll(&ready, 1, 0) <= 0) continue;
    int number = 0;
    socklen_t length = sizeof number;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &number, &length);
    if (number != 0) return no_connection(target, number);
    return fd;
  }
}

}  // namespace

Result<Fd> dial(const SshTarget& target, const Wait& wait) {
  K4T_ASSIGN(const Addresses addresses, resolve(target, wait));
  for (const addrinfo* address = addresses.get();; address = address->ai_next) {
    // The last one has all the time that is left.
    const bool last = address->ai_next == nullptr;
    auto fd = dial_one(target, *address, wait, last ? milliseconds(std::chrono::hours(1)) : address_patience);
    if (fd || last) return fd;
  }
}

}  // namespace k4t::transport
