#include "support/sshd_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <stdexcept>

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;

/// Where sshd jails its unprivileged half; the package's start-up script makes it.
constexpr const char* jail = "/run/sshd";

/// $1 another passwd file, which only the server and what it starts see; then the server.
constexpr const char* with_users = R"sh(mount --bind "$1" /etc/passwd || exit 1
shift
exec "$@"
)sh";

bool accepts(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

void signal_tree(pid_t root, int number) {
  for (const pid_t child : children_of(root)) signal_tree(child, number);
  ::kill(root, number);
}

}  // namespace

bool SshdServer::available() {
  return ::geteuid() == 0 && !find_program("sshd").empty() && !find_program("ssh-keygen").empty();
}

void SshdServer::make_key(const std::string& file, const std::string& type, const std::string& passphrase) {
  fs::remove(file);
  const auto made = run({"ssh-keygen", "-q", "-t", type, "-b", "2048", "-N", passphrase, "-C", "test", "-f", file});
  if (made.exit_code != 0) throw std::runtime_error("ssh-keygen: " + made.out);
}

SshdServer::SshdServer(const std::string& settings) : port_(free_port()) {
  fs::create_directories(jail);
  make_key(path("host_key"), "ed25519");
  make_key(identity(), "ed25519");
  fs::copy_file(identity() + ".pub", authorized_keys());
  know_at(port_);
  scratch_.write("sshd_config",
                 settings + "\nListenAddress 127.0.0.1\nPort " + std::to_string(port_) + "\nHostKey " +
                     path("host_key") + "\nAuthorizedKeysFile " + authorized_keys() +
                     "\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
                     "PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\nSetEnv HOME=" +
                     scratch_.path().string() + "\n");
}

void SshdServer::start() {
  std::vector<std::string> argv{find_program("sshd"), "-D", "-e", "-f", path("sshd_config")};
  if (fs::exists(path("passwd"))) {
    const std::vector<std::string> wrapper{"unshare",  "--mount", "--propagation", "private", "sh", "-c",
                                           with_users, "sh",      path("passwd")};
    argv.insert(argv.begin(), wrapper.begin(), wrapper.end());
  }
  server_ = std::make_unique<Server>(argv, log());
  if (!eventually([this] { return accepts(port_); })) throw std::runtime_error("sshd: " + Scratch::read(log()));
}

void SshdServer::kill() { server_.reset(); }

void SshdServer::cut_connections() const {
  for (const pid_t child : children_of(server_->pid())) signal_tree(child, SIGKILL);
}

void SshdServer::freeze() const { signal_all(SIGSTOP); }

void SshdServer::thaw() const { signal_all(SIGCONT); }

void SshdServer::signal_all(int number) const { signal_tree(server_->pid(), number); }

void SshdServer::add_user(const std::string& name, unsigned uid) const {
  // sshd reads the keys with the user's rights.
  fs::permissions(scratch_.path(), fs::perms(0711));
  const std::string number = std::to_string(uid);
  scratch_.write("passwd", Scratch::read("/etc/passwd") + name + ":x:" + number + ":" + number + "::/:/bin/sh\n");
}

void SshdServer::change_host_key() const { make_key(path("host_key"), "ed25519"); }

void SshdServer::know_at(std::uint16_t port) const {
  std::ofstream(known_hosts(), std::ios::app) << "[127.0.0.1]:" << port << " " << Scratch::read(path("host_key.pub"));
}

std::size_t SshdServer::logins() const {
  std::ifstream in(log());
  std::size_t count = 0;
  for (std::string line; std::getline(in, line);) count += line.starts_with("Accepted publickey") ? 1 : 0;
  return count;
}

}  // namespace k4t::testing
