#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "file.hpp"
#include "k4t/gateway.hpp"

/// What is said to HAProxy's Runtime API, and what its answers mean. Pure text work. HAProxy's answers are untrusted:
/// what does not read as expected is an error, never an empty answer.

namespace k4t::haproxy {

/// A server as the running process has it ("show servers state").
struct RunningServer {
  std::string proxy;
  std::string name;
  std::string address;
  std::uint16_t port = 0;
  std::uint32_t admin_state = 0;  ///< 0: in use as the file says; otherwise taken out by an operator or by k4t
  std::uint32_t weight = 0;
};
Result<std::vector<RunningServer>> parse_servers_state(std::string_view reply);

/// The value of a variable ("get var"); nothing: it is known not to be set.
Result<std::optional<std::string>> parse_variable(std::string_view reply);

/// One row of "show stat": a frontend or a server.
struct StatRow {
  std::string proxy;
  std::string name;  ///< "FRONTEND" or the server's
  std::string status;
  std::uint64_t sessions = 0;  ///< at this moment
};
Result<std::vector<StatRow>> parse_stat(std::string_view reply);

/// Commands that change the servers of a running process, for the locked script on the host.
struct Batch {
  std::vector<std::string> lines;  ///< each one line of commands for the master socket; in order
  std::size_t added = 0;           ///< how often the process must confirm a new server
};

/// How to come from `before` to `after` without a reload; nothing where more than the set of servers differs.
/// `running` is what the process has now: servers that were taken out earlier may wait there for their last connection.
std::optional<Batch> plan_batch(const Layout& before, const Layout& after, const std::vector<RunningServer>& running,
                                std::int64_t worker_pid);

/// Empty where the running process has exactly the servers of the layout in use; otherwise what differs, for people.
/// Servers that are taken out and not in the layout do not count: no new connection reaches them.
std::string difference(const Layout& layout, const std::vector<RunningServer>& running);

}  // namespace k4t::haproxy
