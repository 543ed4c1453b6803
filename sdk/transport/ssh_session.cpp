#include "ssh_session.hpp"

#include <fcntl.h>
#include <libssh/callbacks.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace k4t::transport {
namespace {

using std::chrono::milliseconds;

/// A step of libssh that waits for something else than its socket is asked again after this time.
constexpr milliseconds step_retry{100};

/// The home folder as the user database has it: $HOME may be another user's under sudo.
std::string home_folder() {
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  if (::getpwuid_r(::geteuid(), &entry, buffer, sizeof buffer, &found) == 0 && found != nullptr) return found->pw_dir;
  return "/";
}

std::string user_name() {
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  if (::getpwuid_r(::geteuid(), &entry, buffer, sizeof buffer, &found) == 0 && found != nullptr) return found->pw_name;
  return "root";
}

/// libssh expands % in file names.
std::string unexpanded(const std::string& path) {
  std::string result;
  for (const char c : path) result += c == '%' ? std::string("%%") : std::string(1, c);
  return result;
}

std::vector<std::string> own_keys() {
  std::vector<std::string> files;
  for (const char* name : {"id_ed25519", "id_ecdsa", "id_rsa"}) {
    const std::string file = home_folder() + "/.ssh/" + name;
    std::error_code ignored;
    if (std::filesystem::exists(file, ignored)) files.push_back(file);
  }
  return files;
}

/// 0: not open.
ino_t inode_of(int fd) {
  struct stat about {};
  return ::fstat(fd, &about) == 0 ? about.st_ino : 0;
}

Fd connect_to_agent() {
  const char* path = std::getenv("SSH_AUTH_SOCK");  // NOLINT(concurrency-mt-unsafe): nobody sets variables here
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || std::strlen(path) >= sizeof address.sun_path) return Fd();
  std::memcpy(address.sun_path, path, std::strlen(path));  // the rest is zero
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.open() || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return Fd();
  return fd;
}

struct KeyDeleter {
  void operator()(ssh_key key) const { ssh_key_free(key); }
};
using Key = std::unique_ptr<ssh_key_struct, KeyDeleter>;

std::string fingerprint_of(ssh_key key) {
  unsigned char* hash = nullptr;
  std::size_t size = 0;
  if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != 0) return "unknown";
  char* text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
  std::string result = text == nullptr ? "unknown" : text;
  ssh_string_free_char(text);
  ssh_clean_pubkey_hash(&hash);
  return result;
}

/// Without a passphrase at hand an encrypted key is an error, never a question on the terminal.
int no_passphrase(const char* /*prompt*/, char* /*buffer*/, std::size_t /*size*/, int /*echo*/, int /*verify*/,
                  void* /*data*/) {
  return -1;
}

}  // namespace

void AgentInUse::interrupt() {
  const std::lock_guard lock(mutex_);
  interrupted_ = true;
  if (copy_.open()) ::shutdown(copy_.get(), SHUT_RDWR);
}

void AgentInUse::begin(int fd) {
  const std::lock_guard lock(mutex_);
  copy_ = Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (interrupted_) ::shutdown(copy_.get(), SHUT_RDWR);
}

void AgentInUse::end() {
  const std::lock_guard lock(mutex_);
  copy_.reset();
}

SshSession::SshSession(const SshTarget& target, const SshOptions& options)
    : target_(target), options_(options), session_(ssh_new()) {}

SshSession::~SshSession() {
  if (session_ == nullptr) return;
  const int fd = ssh_get_fd(session_);
  const ino_t socket = inode_of(fd);
  if (event_ != nullptr) {
    ssh_event_remove_session(event_, session_);
    ssh_event_free(event_);
  }
  ssh_disconnect(session_);
  ssh_free(session_);
  // libssh closes a descriptor that it was given when it meets an error, and else leaves it open.
  if (socket != 0 && inode_of(fd) == socket) ::close(fd);
}

Result<std::unique_ptr<SshSession>> SshSession::open(const SshTarget& target, const SshOptions& options, Fd socket,
                                                     AgentInUse& agent, Turn& turn, const Wait& wait) {
  std::unique_ptr<SshSession> opened(new SshSession(target, options));
  if (opened->session_ == nullptr) return Error{Status::unavailable, "out of memory", {}};
  K4T_TRY(opened->configure(socket.get()));
  socket.release();
  K4T_TRY(opened->shake_hands(wait));
  K4T_TRY(opened->check_host_key());
  K4T_TRY(opened->authenticate(agent, turn, wait));
  opened->event_ = ssh_event_new();
  if (opened->event_ == nullptr || ssh_event_add_session(opened->event_, opened->session_) != SSH_OK) {
    return opened->unavailable("libssh cannot watch the connection");
  }
  return opened;
}

Error SshSession::unavailable(const std::string& why) const {
  return {Status::unavailable, target_.url() + ": " + why, {}};
}

Result<void> SshSession::configure(int fd) {
  const bool read_config = false;
  const unsigned port = target_.port;
  const std::string user = target_.user.empty() ? user_name() : target_.user;
  const bool own = options_.known_hosts.empty();
  const std::string known = unexpanded(own ? home_folder() + "/.ssh/known_hosts" : options_.known_hosts);
  const auto set = [this](ssh_options_e option, const void* value) {
    return ssh_options_set(session_, option, value) == SSH_OK;
  };
  const bool done = set(SSH_OPTIONS_PROCESS_CONFIG, &read_config) && set(SSH_OPTIONS_HOST, target_.host.c_str()) &&
                    set(SSH_OPTIONS_PORT, &port) && set(SSH_OPTIONS_USER, user.c_str()) &&
                    set(SSH_OPTIONS_KNOWNHOSTS, known.c_str()) &&
                    (own || set(SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null")) && set(SSH_OPTIONS_FD, &fd);
  if (!done) return unavailable(error());
  ssh_set_blocking(session_, 0);
  ssh_set_counters(session_, &received_, nullptr);
  return {};
}

Result<void> SshSession::shake_hands(const Wait& wait) {
  for (;;) {
    const int code = ssh_connect(session_);
    if (code == SSH_OK) return {};
    if (code != SSH_AGAIN) return unavailable("no SSH server answers as one: " + error());
    K4T_TRY(wait(fd(), events(), step_retry));
  }
}

Result<void> SshSession::check_host_key() {
  ssh_key raw = nullptr;
  if (ssh_get_server_publickey(session_, &raw) != SSH_OK) return unavailable("the server shows no host key");
  const Key key(raw);
  K4T_TRY(check_revoked(key.get()));
  const std::string file = options_.known_hosts.empty() ? home_folder() + "/.ssh/known_hosts" : options_.known_hosts;
  const std::string shown =
      std::string(ssh_key_type_to_char(ssh_key_type(key.get()))) + " key " + fingerprint_of(key.get());
  switch (ssh_session_is_known_server(session_)) {
    case SSH_KNOWN_HOSTS_OK: return {};
    case SSH_KNOWN_HOSTS_CHANGED:
    case SSH_KNOWN_HOSTS_OTHER:
      return unavailable("the host key is not the one in " + file + ", the server shows the " + shown +
                         ": either somebody is in between, or the machine was installed anew; in that case compare the "
                         "fingerprint on the machine, then replace the entry: ssh-keygen -R '" +
                         target_.known_as() + "' -f " + file);
    case SSH_KNOWN_HOSTS_ERROR: return unavailable("the known hosts in " + file + " cannot be read: " + error());
    default:
      return unavailable("the host key is unknown, the server shows the " + shown +
                         ": compare the fingerprint on the machine, then add the key: ssh-keyscan -p " +
                         std::to_string(target_.port) + " " + target_.host + " >> " + file);
  }
}

/// libssh skips the lines of known_hosts that begin with a marker, of which @revoked must not be skipped.
Result<void> SshSession::check_revoked(ssh_key key) const {
  char* text = nullptr;
  if (ssh_pki_export_pubkey_base64(key, &text) != SSH_OK) return unavailable("the host key cannot be read");
  const std::string wanted = text;
  ssh_string_free_char(text);
  std::vector<std::string> files{options_.known_hosts};
  if (options_.known_hosts.empty()) files = {home_folder() + "/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"};
  for (const auto& file : files) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("@revoked") && line.find(wanted) != std::string::npos) {
        return unavailable("the host key is revoked in " + file + ": give the machine a new one");
      }
    }
  }
  return {};
}

/// Calls a step of authentication until libssh has its answer.
Result<bool> SshSession::repeat(const std::function<int()>& step, const Wait& wait) {
  for (;;) {
    switch (step()) {
      case SSH_AUTH_SUCCESS: return true;
      case SSH_AUTH_DENIED: return false;
      case SSH_AUTH_PARTIAL: return unavailable("the server asks for more than one key: that is not supported");
      case SSH_AUTH_AGAIN: break;
      default:
        // An agent that fails is no reason to give up; a connection that is gone is.
        if (ssh_is_connected(session_) != 0 && alive()) return false;
        return unavailable("the server broke off authentication: " + error());
    }
    K4T_TRY(wait(fd(), events(), step_retry));
  }
}

Result<bool> SshSession::try_agent(AgentInUse& agent, Turn& turn, const Wait& wait) {
  Fd fd = connect_to_agent();
  if (!fd.open()) return false;
  agent.begin(fd.get());
  if (ssh_set_agent_socket(session_, fd.get()) != SSH_OK) return false;
  fd.release();
  const auto ask = [&] {
    turn.give_back();
    return ssh_userauth_agent(session_, nullptr);
  };
  auto accepted = repeat(ask, wait);
  agent.end();
  return accepted;
}

Result<bool> SshSession::try_key(const std::string& file, const Wait& wait) {
  std::string passphrase;
  if (!options_.passphrase_file.empty()) {
    std::ifstream in(options_.passphrase_file);
    if (!std::getline(in, passphrase)) return unavailable("cannot read the passphrase in " + options_.passphrase_file);
  }
  ssh_key raw = nullptr;
  const int code = ssh_pki_import_privkey_file(file.c_str(), passphrase.empty() ? nullptr : passphrase.c_str(),
                                               no_passphrase, nullptr, &raw);
  const Key key(raw);
  if (code == SSH_EOF) return unavailable("the private key " + file + " cannot be opened");
  if (code != SSH_OK) {
    return unavailable("the private key " + file + " cannot be read: it is " +
                       (passphrase.empty()
                            ? "damaged, or encrypted: set passphrase_file or use ssh-agent"
                            : "damaged, or the passphrase in " + options_.passphrase_file + " is wrong"));
  }
  return repeat([this, &key] { return ssh_userauth_publickey(session_, nullptr, key.get()); }, wait);
}

Result<void> SshSession::authenticate(AgentInUse& agent, Turn& turn, const Wait& wait) {
  std::string tried;
  if (options_.identity.empty()) {
    K4T_ASSIGN(const bool accepted, try_agent(agent, turn, wait));
    if (accepted) return {};
    tried = "ssh-agent";
  }
  for (const auto& file : options_.identity.empty() ? own_keys() : options_.identity) {
    K4T_ASSIGN(const bool accepted, try_key(file, wait));
    if (accepted) return {};
    tried += (tried.empty() ? "" : ", ") + file;
  }
  const std::string user = target_.user.empty() ? user_name() : target_.user;
  return unavailable("the server accepts none of the keys for user " + user + " (" + tried +
                     "): add the public key to ~/.ssh/authorized_keys there, or name the right one as identity");
}

short SshSession::events() const {
  const int wanted = ssh_get_poll_flags(session_);
  return static_cast<short>(POLLIN | ((wanted & SSH_WRITE_PENDING) != 0 ? POLLOUT : 0));
}

void SshSession::pump() { ssh_event_dopoll(event_, 0); }

bool SshSession::alive() const {
  return ssh_is_connected(session_) != 0 && (ssh_get_status(session_) & (SSH_CLOSED | SSH_CLOSED_ERROR)) == 0;
}

std::string SshSession::error() const {
  const char* text = ssh_get_error(session_);
  return text == nullptr || *text == '\0' ? "the connection was closed" : text;
}

}  // namespace k4t::transport
