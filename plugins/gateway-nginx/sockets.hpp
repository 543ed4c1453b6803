#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "render.hpp"

/// What `ss` shows of TCP sockets. Pure: text → values and judgements.

namespace k4t::nginx {

/// One line of `ss -Htnp`.
struct SocketLine {
  Socket local;
  Socket peer;
  std::vector<int> pids;  ///< empty: not shown, for want of rights
  std::string holder;     ///< for people: "nginx (pid 12)"
};

/// `state_column`: the lines begin with the socket's state, as they do unless one state was asked for.
std::vector<SocketLine> parse_sockets(std::string_view ss_output, bool state_column);

/// All sockets that listen on nginx's host, and nginx's processes.
struct Listening {
  std::vector<SocketLine> sockets;
  std::set<int> own_pids;
};

/// "own PID…", "sockets", the lines of `ss -Htlnp`, "end". UNAVAILABLE where the text is another, or says that ss does
/// not work.
Result<Listening> parse_listening(std::string_view text);

/// The sockets in "  listen SOCKET…;" lines of rendered files, before "end". UNAVAILABLE where the end is missing.
Result<std::set<std::string>> parse_live_listens(std::string_view text);

/// Which sockets are nginx's own.
struct Own {
  std::set<int> pids;             ///< the master and its children
  std::set<std::string> listens;  ///< what the live version listens at, as gateway::socket_text writes it
};

/// Whether nobody shows who holds a socket that is in the way of `wanted`, so that `Own::listens` decides.
bool needs_listens(const std::vector<Socket>& wanted, const std::vector<SocketLine>& listening);

/// Will nginx be able to listen at all of `wanted`? INVALID_ARGUMENT naming who holds a port, else. A socket that
/// nginx itself listens on is handed on across a reload if it is exactly the same one. A holder that is not shown is
/// nginx where the live version listens there.
Result<void> check_free(const std::vector<Socket>& wanted, const std::vector<SocketLine>& listening, const Own& own);

/// How many of the connections go to the endpoint and belong to this nginx, to another process of that name (one that
/// an upgrade left behind), or to nobody that is shown.
std::uint64_t count_to(const gateway::Endpoint& endpoint, const std::vector<SocketLine>& established, const Own& own);

}  // namespace k4t::nginx
