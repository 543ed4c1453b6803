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

struct Ports {
  std::uint16_t dns = 0;
  std::uint16_t kdc = 0;
  std::uint16_t kpasswd = 0;
};

/// smb.conf of a domain whose data lie in `dc`.
std::string configuration(const std::string& dc, const Ports& ports) {
  std::ostringstream text;
  text << "[global]\n"
       << "  server role = active directory domain controller\n"
       << "  server services = kdc, dns\n"
       << "  realm = EXAMPLE.NET\n  workgroup = EXAMPLE\n  netbios name = DC1\n"
       << "  interfaces = 127.0.0.1/8\n  bind interfaces only = yes\n"
       << "  dns port = " << ports.dns << "\n  krb5 port = " << ports.kdc << "\n  kpasswd port = " << ports.kpasswd
       << "\n  allow dns updates = secure only\n  dns forwarder =\n"
       << "  dns update command = /bin/true\n  spn update command = /bin/true\n  nsupdate command = /bin/true\n"
       << "  private dir = " << dc << "/private\n  state directory = " << dc << "/state\n  cache directory = " << dc
       << "/cache\n  lock directory = " << dc << "\n  pid directory = " << dc << "\n  ncalrpc dir = " << dc
       << "/ncalrpc\n  binddns dir = " << dc << "/bind-dns\n  log file = " << dc << "/log.%m\n  panic action =\n";
  return text.str();
}

/// Runs `samba-tool ARGUMENTS` on the data of the domain in `scratch`.
Ran run_tool(const Scratch& scratch, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), find_program("samba-tool"));
  arguments.insert(arguments.end(), {"-s", scratch.path() / "smb.conf"});
  return run(arguments);
}

SambaAccount make_account(const Scratch& scratch, const std::string& name) {
  SambaAccount account{name, scratch.path() / (name + ".keytab"), {}};
  require(run_tool(scratch, {"user", "create", name, password_of(name)}), "user create");
  require(run_tool(scratch, {"user", "setexpiry", name, "--noexpiry"}), "user setexpiry");
  require(run_tool(scratch, {"domain", "exportkeytab", account.keytab, "--principal=" + name}), "exportkeytab");
  account.password_file = scratch.write(name + ".password", password_of(name) + "\n", 0600);
  return account;
}

/// A domain that never runs: every server of this program is a copy of it, because samba-tool takes ten seconds to make
/// one and another second for each step of an account.
class Model {
 public:
  static const Model& instance() {
    static const Model model;
    return model;
  }
  [[nodiscard]] std::filesystem::path data() const { return scratch_.path() / "dc"; }
  [[nodiscard]] const SambaAccount& user() const { return user_; }
  [[nodiscard]] const SambaAccount& admin() const { return admin_; }

 private:
  Model() {
    const auto ran = run({find_program("samba-tool"), "domain", "provision", "--realm=EXAMPLE.NET", "--domain=EXAMPLE",
                          "--server-role=dc", "--dns-backend=SAMBA_INTERNAL", "--host-name=dc1", "--host-ip=127.0.0.1",
                          "--adminpass=" + password_of("Administrator"), "--targetdir=" + data().string(),
                          "--option=interfaces=127.0.0.1/8", "--option=bind interfaces only=yes"},
                         {}, provision_time);
    require(ran, "samba-tool domain provision");
    scratch_.write("smb.conf", configuration(data(), {}));
    user_ = make_account(scratch_, "k4t");
    admin_ = make_account(scratch_, "operator");
    require(run_tool(scratch_, {"group", "addmembers", "Domain Admins", admin_.name}), "group addmembers");
  }

  Scratch scratch_;
  SambaAccount user_;
  SambaAccount admin_;
};

}  // namespace

bool SambaServer::installed() {
  const std::vector<std::string> programs{"samba", "samba-tool", "dig"};
  return std::ranges::none_of(programs, [](const auto& program) { return find_program(program).empty(); }) &&
         std::filesystem::exists("/usr/share/samba/setup/provision.ldif");
}

SambaServer::SambaServer()
    : port_(free_port()), kdc_port_(free_port()), user_(Model::instance().user()), admin_(Model::instance().admin()) {
  std::filesystem::copy(Model::instance().data(), path("dc"), std::filesystem::copy_options::recursive);
  scratch_.write("smb.conf", configuration(path("dc"), {port_, kdc_port_, free_port()}));
  start();
}

SambaServer::~SambaServer() = default;

Ran SambaServer::tool(std::vector<std::string> arguments) const { return run_tool(scratch_, std::move(arguments)); }

SambaAccount SambaServer::add_user(const std::string& name) const { return make_account(scratch_, name); }

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
