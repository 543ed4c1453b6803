#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "k4t/call.hpp"
#include "k4t/transport.hpp"

/// k4t's program on HAProxy's host (scripts.hpp): starts it, keeps it, and carries requests to it and answers back.

namespace k4t::haproxy {

/// A request or an answer: named parts, in order.
using Frames = std::vector<std::pair<std::string, std::string>>;

/// UNAVAILABLE.
Error unavailable(std::string message, std::string detail = {});

/// UNAVAILABLE where an answer has no such part.
Result<std::string> take(const Frames& frames, std::string_view name);

/// Whether a request whose answer was lost may be made again.
enum class Again { allowed, forbidden };

/// One thread at a time. The program lives from the first request until this object ends, or its time or this program
/// does; one that was lost, with its connection or by itself, is started anew by the next request.
class Agent {
 public:
  /// What the program is told of this HAProxy: k4t's file, the folder beside it, the master's socket.
  Agent(std::shared_ptr<transport::Host> host, std::string file, std::string work, std::string socket)
      : host_(std::move(host)), arguments_{std::move(file), std::move(work), std::move(socket)} {}

  /// UNAVAILABLE where the program says so or was lost, DEADLINE where the call's time is over. For a change it is then
  /// not known what it did; it may still be under way, but begins nothing more.
  Result<Frames> ask(const std::string& verb, const Frames& request, Again again, const Call& call);

  [[nodiscard]] transport::Host& host() const { return *host_; }

 private:
  using Clock = std::chrono::steady_clock;

  Result<void> make_ready(const Call& call);
  Result<void> start(const Call& call);
  [[nodiscard]] bool lives();
  Result<Frames> exchange(std::string_view text, const Call& call);
  Result<Frames> receive(const Call& call);
  Result<std::string> read(const Call& call);

  std::shared_ptr<transport::Host> host_;
  std::vector<std::string> arguments_;
  std::unique_ptr<transport::Stream> program_;  ///< nullptr: none runs, or not one that can be trusted with a request
  Clock::time_point used_;
  bool fresh_ = false;      ///< it has answered nothing yet
  bool delivered_ = false;  ///< the last request was written to its end
};

}  // namespace k4t::haproxy
