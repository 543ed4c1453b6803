#include "sockets.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "k4t/gateway_rules.hpp"

namespace k4t::nginx {
namespace {

bool is_any(const std::string& address) { return address == "0.0.0.0" || address == "::" || address == "*"; }

bool is_v6(const std::string& address) { return address.find(':') != std::string::npos; }

/// ss's "ADDRESS:PORT": IPv6 in brackets, an interface after '%', "*" for both families at once. IPv4 peers of IPv6
/// sockets are shown as ::ffff:ADDRESS.
std::optional<Socket> parse_socket(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return {};
  Socket socket;
  const auto port = text.substr(colon + 1);
  std::from_chars(port.data(), port.data() + port.size(), socket.port);
  auto address = text.substr(0, colon);
  address = address.substr(0, address.find('%'));
  if (address.starts_with('[')) address.remove_prefix(1);
  if (address.ends_with(']')) address.remove_suffix(1);
  constexpr std::string_view mapped = "::ffff:";
  if (address.starts_with(mapped) && address.find('.') != std::string_view::npos) address.remove_prefix(mapped.size());
  socket.address = address;
  return socket;
}

/// users:(("nginx",pid=12,fd=6),("nginx",pid=11,fd=6))
void parse_users(std::string_view text, SocketLine& into) {
  constexpr std::string_view mark = ",pid=";
  const auto quote = text.find('"');
  for (auto at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + 1)) {
    int pid = 0;
    std::from_chars(text.data() + at + mark.size(), text.data() + text.size(), pid);
    into.pids.push_back(pid);
  }
  if (into.pids.empty() || quote == std::string_view::npos) return;
  const auto name = text.substr(quote + 1, text.find('"', quote + 1) - quote - 1);
  into.holder = std::string(name) + " (pid " + std::to_string(into.pids.front()) + ")";
}

/// Two sockets that cannot both listen: Linux lets a wildcard and an address of the same family not coexist.
bool collide(const Socket& left, const Socket& right) {
  if (left.port != right.port) return false;
  if (left.address == right.address || left.address == "*" || right.address == "*") return true;
  return (is_any(left.address) || is_any(right.address)) && is_v6(left.address) == is_v6(right.address);
}

bool belongs(const SocketLine& line, const Own& own) {
  return std::any_of(line.pids.begin(), line.pids.end(), [&](int pid) { return own.pids.contains(pid); });
}

bool listens(const SocketLine& line, const Own& own) {
  return belongs(line, own) ||
         (line.pids.empty() && own.listens.contains(gateway::socket_text(line.local.address, line.local.port)));
}

Error taken(const Socket& wanted, const SocketLine& line, bool by_nginx) {
  const std::string where = gateway::socket_text(wanted.address, wanted.port);
  if (by_nginx) {
    return {Status::invalid_argument,
            "nginx cannot listen at " + where + ", because it already listens at " +
                gateway::socket_text(line.local.address, line.local.port) +
                " and cannot change between one address and all of them in one reload: keep the address, or remove the "
                "listener in one change and add it in the next",
            {}};
  }
  const std::string holder = line.holder.empty() ? "another process (root could see which)" : line.holder;
  return {Status::invalid_argument,
          "nginx cannot listen at " + where + ": " + holder + " already listens at " +
              gateway::socket_text(line.local.address, line.local.port) + "; stop it or choose another port",
          {}};
}

}  // namespace

std::vector<SocketLine> parse_sockets(std::string_view ss_output, bool state_column) {
  std::vector<SocketLine> found;
  std::istringstream lines{std::string(ss_output)};
  for (std::string text; std::getline(lines, text);) {
    std::istringstream words(text);
    std::string skipped;
    std::string local;
    std::string peer;
    std::string users;
    if (state_column) words >> skipped;
    if (!(words >> skipped >> skipped >> local >> peer)) continue;
    std::getline(words, users);
    const auto local_socket = parse_socket(local);
    const auto peer_socket = parse_socket(peer);
    if (!local_socket || !peer_socket) continue;
    SocketLine line{*local_socket, *peer_socket, {}, {}};
    parse_users(users, line);
    found.push_back(std::move(line));
  }
  return found;
}

Result<Listening> parse_listening(std::string_view text) {
  Listening found;
  constexpr std::string_view own = "own ";
  constexpr std::string_view end = "\nend\n";
  const auto line_end = text.find('\n');
  if (!text.starts_with(own) || !text.ends_with(end)) {
    return Error{Status::unavailable, "nginx's host did not answer what was asked", std::string(text.substr(0, 2000))};
  }
  std::istringstream pids{std::string(text.substr(own.size(), line_end - own.size()))};
  for (int pid = 0; pids >> pid;) found.own_pids.insert(pid);
  constexpr std::string_view sockets = "sockets\n";
  text = text.substr(line_end + 1, text.size() - end.size() - line_end);
  if (!text.starts_with(sockets)) {
    return Error{Status::unavailable, "the program ss does not work on nginx's host: install iproute2", {}};
  }
  found.sockets = parse_sockets(text.substr(sockets.size()), true);
  return found;
}

Result<std::set<std::string>> parse_live_listens(std::string_view text) {
  std::set<std::string> found;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (line == "end") return found;
    constexpr std::string_view listen = "  listen ";
    if (!line.starts_with(listen)) break;
    const std::string_view rest = std::string_view(line).substr(listen.size());
    found.emplace(rest.substr(0, rest.find_first_of(" ;")));
  }
  return Error{Status::unavailable, "nginx's host did not answer what was asked", std::string(text.substr(0, 2000))};
}

bool needs_listens(const std::vector<Socket>& wanted, const std::vector<SocketLine>& listening) {
  return std::any_of(listening.begin(), listening.end(), [&](const SocketLine& line) {
    return line.pids.empty() &&
           std::any_of(wanted.begin(), wanted.end(), [&](const Socket& one) { return collide(one, line.local); });
  });
}

Result<void> check_free(const std::vector<Socket>& wanted, const std::vector<SocketLine>& listening, const Own& own) {
  for (const auto& socket : wanted) {
    for (const auto& line : listening) {
      if (!collide(socket, line.local)) continue;
      const bool by_nginx = listens(line, own);
      if (!by_nginx || socket.address != line.local.address) return taken(socket, line, by_nginx);
    }
  }
  return {};
}

std::uint64_t count_to(const gateway::Endpoint& endpoint, const std::vector<SocketLine>& established, const Own& own) {
  const Socket to{endpoint.address, endpoint.port};
  return static_cast<std::uint64_t>(std::count_if(established.begin(), established.end(), [&](const SocketLine& line) {
    return line.peer == to && (line.pids.empty() || belongs(line, own) || line.holder.starts_with("nginx "));
  }));
}

}  // namespace k4t::nginx
