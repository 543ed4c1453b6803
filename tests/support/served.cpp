#include "support/served.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <regex>
#include <sstream>

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::string first_word(const RealCluster::Answer& answer) {
  if (answer.status != 200) return "status " + std::to_string(answer.status);
  return answer.body.substr(0, answer.body.find(' '));
}

/// The folder of nginx's versions whose files hold this register.
fs::path folder_of(const fs::path& root, const std::string& txn) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(root, none)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("v") && name.find(txn) != std::string::npos) return entry.path();
  }
  return root / "live";
}

std::string parent_of(std::string name) {
  while (!name.empty() && name.back() == '.') name.pop_back();
  return name;
}

/// Records that nobody deployed: the zone's own and k4t's registers.
bool is_own(const std::string& name, const std::string& type) {
  return type == "SOA" || type == "NS" || name.starts_with("ns1.") || name.starts_with("_k4t");
}

}  // namespace

bool accepts(const std::string& address, std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &at.sin_addr);
  const bool open = ::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
  ::close(fd);
  return open;
}

void Served::ask(const std::string& address, GatewaySight& into) {
  into.http = first_word(cluster_.get(address, "web"));
  into.tcp = first_word(cluster_.get_at(address, cluster_.tcp_port(), "web"));
  into.side = first_word(cluster_.get(address, "side"));
}

GatewaySight Served::nginx() {
  GatewaySight sight;
  const auto port = cluster_.status_port("gw1");
  if (!accepts("127.0.0.1", port)) return sight;  // nothing was ever deployed there
  // "k4t 1 CLUSTER VERSION TXN WRITER PID"
  const auto words = words_of(cluster_.get_at("127.0.0.1", port, "status").body);
  sight.version = words.size() > 4 ? std::stoi(words[3]) : -1;
  if (sight.version < 0) return sight;
  sight.txn = words[4];
  ask(RealCluster::nginx_address, sight);
  const fs::path folder = folder_of(cluster_.nginx().folder(), sight.txn);
  static const std::regex server(R"(\n\s+server (127\.[0-9.]+):(\d+))");
  for (const char* file : {"http.conf", "stream.conf"}) {
    const std::string text = Scratch::read(folder / file);
    for (std::sregex_iterator at(text.begin(), text.end(), server), end; at != end; ++at) {
      sight.endpoints.emplace_back((*at)[1], static_cast<std::uint16_t>(std::stoi((*at)[2])));
    }
  }
  return sight;
}

GatewaySight Served::haproxy() {
  GatewaySight sight;
  HaproxyServer& server = cluster_.haproxy();
  const std::string worker = "@!" + std::to_string(server.worker()) + " ";
  const std::string variable = server.tell(worker + "get var proc.k4t");
  static const std::regex form(R"(value=<(applying/)?1/[^/]+/(\d+)/([0-9a-f]{32})/)");
  std::smatch found;
  if (!std::regex_search(variable, found, form)) {
    // A process that never read k4t's file does not know the variable.
    sight.version = variable.find("value=<") == std::string::npos && !variable.empty() ? 0 : -1;
    return sight;
  }
  sight.half = found[1].matched;
  sight.version = std::stoi(found[2]);
  sight.txn = found[3];
  ask(RealCluster::haproxy_address, sight);
  std::vector<std::string> head;
  for (const auto& line : lines_of(server.tell(worker + "show servers state"))) {
    auto words = words_of(line);
    if (line.starts_with("# ")) head.assign(words.begin() + 1, words.end());
    if (head.empty() || words.size() != head.size()) continue;
    const auto column = [&](const char* name) {
      return words[static_cast<std::size_t>(std::find(head.begin(), head.end(), name) - head.begin())];
    };
    if (column("srv_admin_state") != "0") continue;  // taken out of use
    sight.endpoints.emplace_back(column("srv_addr"), static_cast<std::uint16_t>(std::stoi(column("srv_port"))));
  }
  return sight;
}

DnsSight Served::dns(std::size_t index) {
  BindServer& server = index == 0 ? cluster_.ns1() : cluster_.ns2();
  DnsSight sight;
  const auto ran = run({find_program("dig"), "@127.0.0.1", "-p", std::to_string(server.port()), "-k", server.key_file(),
                        "+noall", "+answer", "+onesoa", "+tries=1", "+time=3", server.zone(), "AXFR"});
  bool answered = false;
  for (const auto& line : lines_of(ran.out)) {
    auto words = words_of(line);
    if (words.size() < 5 || words[2] != "IN") continue;
    const std::string name = parent_of(words[0]);
    const std::string& type = words[3];
    if (type == "SOA") answered = true;
    if (name == "_k4t." + server.zone() && words.size() > 7) {
      sight.version = std::stoi(words[6]);
      sight.txn = words[7];
    }
    if (is_own(name, type)) continue;
    std::string data;
    for (std::size_t word = 4; word < words.size(); ++word) data += " " + words[word];
    sight.records.insert(name + " " + type + data);
  }
  if (!answered) sight.version = -1;
  return sight;
}

int Served::decided() {
  const auto folder = cluster_.folder() / "state" / "witness";
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("k4t-witness-") || !name.ends_with(".json")) continue;
    const std::string text = Scratch::read(entry.path());
    const Json json = Json::parse(text.substr(0, text.find('\n')));
    return json.contains("vote") && json["vote"].is_object() ? json["vote"]["version"].get<int>() : 0;
  }
  return 0;
}

std::vector<std::string> Served::instances() {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(cluster_.folder() / "process", none)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(".")) names.push_back(name);
  }
  return names;
}

std::vector<std::string> Served::leftovers() {
  std::vector<std::string> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(cluster_.nginx().folder(), none)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("s-")) found.push_back("nginx: " + name);
  }
  const fs::path work = cluster_.haproxy().file().string() + ".k4t";
  for (const auto& entry : fs::directory_iterator(work, none)) {
    if (entry.path().extension() == ".cfg") found.push_back("HAProxy: " + entry.path().filename().string());
  }
  return found;
}

}  // namespace k4t::testing
