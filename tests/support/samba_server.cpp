#include "support/samba_server.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace k4t::testing {
namespace {

constexpr auto provision_time = std::chrono::minutes(4);  // about ten seconds on an idle machine
constexpr const char* faketime_library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

std::string password_of(const std::string& name) { return "Pass-word.of." + name + ".1"; }

void require(const Ran& ran, const std::string& what) {
  if (ran.exit_code != 0) throw std::runtime_error(what + ": " + ran.out);
}

}  // namespace

bool SambaServer::installed() {
  const std::vector<std::string> programs{"samba", "samba-tool", "dig"};
  return std::ranges::none_of(programs, [](const auto& program) { return find_program(program).empty(); }) &&
         std::filesystem::exists("/usr/share/samba/setup/provision.ldif");
}

SambaServer::SambaServer() : port_(free_port()), kdc_port_(free_port()), kpasswd_port_(free_port()) {
  provision();
  write_configuration();
  user_ = add_user("k4t");
  admin_ = add_user("operator");
  require(tool({"group", "addmembers", "Domain Admins", admin_.name}), "group addmembers");
  start();
}

SambaServer::~SambaServer() = default;

void SambaServer::provision() const {
  const auto ran = run({find_program("samba-tool"), "domain", "provision", "--realm=" + realm(), "--domain=EXAMPLE",
                        "--server-role=dc", "--dns-backend=SAMBA_INTERNAL", "--host-name=dc1", "--host-ip=127.0.0.1",
                        "--adminpass=" + password_of("Administrator"), "--targetdir=" + path("dc"),
                        "--option=interfaces=127.0.0.1/8", "--option=bind interfaces only=yes"},
                       {}, provision_time);
  require(ran, "samba-tool domain provision");
}

void SambaServer::write_configuration() const {
  const std::string dc = path("dc");
  std::ostringstream text;
  text << "[global]\n"
       << "  server role = active directory domain controller\n"
       << "  server services = kdc, dns\n"
       << "  realm = " << realm() << "\n  workgroup = EXAMPLE\n  netbios name = DC1\n"
       << "  interfaces = 127.0.0.1/8\n  bind interfaces only = yes\n"
       << "  dns port = " << port_ << "\n  krb5 port = " << kdc_port_ << "\n  kpasswd port = " << kpasswd_port_ << "\n"
       << "  allow dns updates = secure only\n  dns forwarder =\n"
       << "  dns update command = /bin/true\n  spn update command = /bin/true\n  nsupdate command = /bin/true\n"
       << "  private dir = " << dc << "/private\n  state directory = " << dc << "/state\n  cache directory = " << dc
       << "/cache\n  lock directory = " << dc << "\n  pid directory = " << dc << "\n  ncalrpc dir = " << dc
       << "/ncalrpc\n  binddns dir = " << dc << "/bind-dns\n  log file = " << dc << "/log.%m\n  panic action =\n";
  scratch_.write("smb.conf", text.str());
}

Ran SambaServer::tool(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), find_program("samba-tool"));
  arguments.insert(arguments.end(), {"-s", path("smb.conf")});
  return run(arguments);
}

SambaAccount SambaServer::add_user(const std::string& name) const {
  SambaAccount account{name, path(name + ".keytab"), {}};
  require(tool({"user", "create", name, password_of(name)}), "user create");
  require(tool({"user", "setexpiry", name, "--noexpiry"}), "user setexpiry");
  require(tool({"domain", "exportkeytab", account.keytab, "--principal=" + name}), "exportkeytab");
  account.password_file = scratch_.write(name + ".password", password_of(name) + "\n", 0600);
  return account;
}

void SambaServer::start(std::chrono::seconds clock_ahead) {
  std::map<std::string, std::string> environment;
  if (clock_ahead.count() != 0) {
    if (!std::filesystem::exists(faketime_library)) throw std::runtime_error("libfaketime is not installed");
    environment = {{"LD_PRELOAD", faketime_library}, {"FAKETIME", "+" + std::to_string(clock_ahead.count()) + "s"}};
  }
  server_ =
      std::make_unique<Server>(std::vector<std::string>{find_program("samba"), "--foreground", "--no-process-group",
                                                        "--model=single", "--debug-stdout", "-s", path("smb.conf")},
                               path("samba.log"), environment);
  if (eventually([&] { return !dig(zone(), "SOA").empty(); }, std::chrono::seconds(60))) return;
  const auto said = log();
  server_.reset();
  throw std::runtime_error("Samba does not answer: " + said);
}

void SambaServer::stop() {
  if (server_) server_->stop();
  server_.reset();
}

void SambaServer::kill() {
  if (server_) server_->kill_all();
  server_.reset();
}

void SambaServer::freeze() const { server_->signal(SIGSTOP); }
void SambaServer::thaw() const { server_->signal(SIGCONT); }

std::string SambaServer::dig(const std::string& name, const std::string& type) const {
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

std::string SambaServer::log() const { return Scratch::read(path("samba.log")); }

}  // namespace k4t::testing
