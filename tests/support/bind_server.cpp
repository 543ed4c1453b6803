#include "support/bind_server.hpp"

#include <algorithm>
#include <csignal>
#include <sstream>
#include <stdexcept>

namespace k4t::testing {
namespace {

std::string key_statement(const std::string& name, const std::string& algorithm, const std::string& secret) {
  return "key \"" + name + "\" {\n\talgorithm " + algorithm + ";\n\tsecret \"" + secret + "\";\n};\n";
}

std::string new_key(const std::string& name, const std::string& algorithm) {
  const auto made = run({find_program("tsig-keygen"), "-a", algorithm, name});
  if (made.exit_code != 0) throw std::runtime_error("tsig-keygen: " + made.out);
  return made.out;
}

}  // namespace

bool BindServer::installed() {
  const std::vector<std::string> programs{"named", "dig", "nsupdate", "tsig-keygen"};
  return std::ranges::none_of(programs, [](const auto& program) { return find_program(program).empty(); });
}

BindServer::BindServer(const BindOptions& options) : options_(options), port_(free_port()) {
  write_files();
  start();
}

BindServer::~BindServer() = default;

std::string BindServer::key_file() const { return scratch_.path() / "k4t.key"; }
std::string BindServer::admin_file() const { return scratch_.path() / "admin.key"; }
std::string BindServer::reader_file() const { return scratch_.path() / "reader.key"; }
std::string BindServer::wrong_file() const { return scratch_.path() / "wrong.key"; }
std::string BindServer::unknown_file() const { return scratch_.path() / "unknown.key"; }

void BindServer::write_files() const {
  scratch_.write("k4t.key", new_key("k4t-key", "hmac-sha256"), 0600);
  scratch_.write("admin.key", new_key("admin-key", "hmac-sha512"), 0600);
  scratch_.write("reader.key", new_key("reader-key", "hmac-sha256"), 0600);
  scratch_.write("wrong.key", key_statement("k4t-key", "hmac-sha256", "bm90IHRoZSBzZWNyZXQgdGhhdCB5b3Uga25vdw=="),
                 0600);
  scratch_.write("unknown.key", new_key("unknown-key", "hmac-sha256"), 0600);
  std::string zone = "$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\n";
  for (const auto& record : options_.records) zone += record + "\n";
  scratch_.write("zone.db", zone);
  const std::string folder = scratch_.path();
  std::string keys;
  for (const auto& file : {key_file(), admin_file(), reader_file()}) keys += "include \"" + file + "\";\n";
  scratch_.write("named.conf",
                 keys +
                     "controls {};\n"
                     "options {\n"
                     "  directory \"" +
                     folder + "\"; pid-file \"" + folder +
                     "/named.pid\"; session-keyfile none;\n"
                     "  managed-keys-directory \"" +
                     folder + "\"; dump-file \"" + folder +
                     "/dump\";\n"
                     "  listen-on port " +
                     std::to_string(port_) +
                     " { 127.0.0.1; }; listen-on-v6 { none; };\n"
                     "  recursion no; notify no; dnssec-validation no; empty-zones-enable no; tcp-idle-timeout 300;\n"
                     "};\n"
                     "zone \"" +
                     options_.zone +
                     "\" {\n"
                     "  type primary; file \"zone.db\";\n"
                     "  update-policy { grant k4t-key " +
                     options_.granted +
                     " ANY; grant admin-key zonesub ANY; };\n"
                     "  allow-transfer { key admin-key; " +
                     (options_.transfer ? "key k4t-key; " : "") +
                     "};\n"
                     "};\n");
}

void BindServer::start() {
  server_ = std::make_unique<Server>(
      std::vector<std::string>{find_program("named"), "-g", "-n", "1", "-U", "1", "-c", scratch_.path() / "named.conf"},
      scratch_.path() / "named.log");
  if (eventually([&] { return !dig(options_.zone, "SOA").empty(); }, std::chrono::seconds(30))) return;
  const auto said = log();
  server_.reset();
  throw std::runtime_error("named does not answer: " + said);
}

void BindServer::stop() {
  if (server_) server_->stop();
  server_.reset();
}

void BindServer::kill() {
  if (server_) server_->kill_all();
  server_.reset();
}

void BindServer::freeze() const { server_->signal(SIGSTOP); }
void BindServer::thaw() const { server_->signal(SIGCONT); }

Ran BindServer::update_by_hand(const std::vector<std::string>& lines) const {
  std::string script = "server 127.0.0.1 " + std::to_string(port_) + "\nzone " + options_.zone + "\n";
  for (const auto& line : lines) script += line + "\n";
  auto ran = run({find_program("nsupdate"), "-v", "-k", admin_file()}, script + "send\n");
  if (ran.exit_code != 0) throw std::runtime_error("nsupdate: " + ran.out);
  return ran;
}

std::string BindServer::dig(const std::string& name, const std::string& type) const {
  const auto ran = run({find_program("dig"), "@127.0.0.1", "-p", std::to_string(port_), "+tcp", "+short", "+tries=1",
                        "+time=2", name, type});
  if (ran.exit_code != 0) return {};
  std::istringstream text(ran.out);
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  std::ranges::sort(lines);
  std::string sorted;
  for (const auto& line : lines) sorted += (sorted.empty() ? "" : "\n") + line;
  return sorted;
}

std::string BindServer::log() const { return Scratch::read(scratch_.path() / "named.log"); }

}  // namespace k4t::testing
