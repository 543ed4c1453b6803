#pragma once

#include <fstream>
#include <sstream>
#include <string>

#include "k4t/json.hpp"
#include "support/certificates.hpp"
#include "support/docker_engine.hpp"
#include "support/sshd_server.hpp"

namespace k4t::testing {

/// An engine that listens to clients of its authority, and an SSH server beside it.
struct DockerMachine {
  Authority authority;
  Certified server = authority.issue({.name = "server", .alt = {"IP:127.0.0.1", "DNS:node1.example.net"}});
  Certified client = authority.issue({.name = "client", .purpose = "clientAuth"});
  std::uint16_t port = free_port();
  DockerEngine engine{{"--host", "tcp://127.0.0.1:" + std::to_string(port), "--tlsverify", "--tlscacert",
                       authority.certificate(), "--tlscert", server.certificate, "--tlskey", server.key}};
  SshdServer sshd;

  DockerMachine() { sshd.start(); }
  /// The one of this test program, made when first asked for.
  static DockerMachine& shared() {
    static DockerMachine machine;
    return machine;
  }

  /// The driver's options for each way to it.
  [[nodiscard]] Json tls() const {
    return {{"ca", authority.certificate()}, {"cert", client.certificate}, {"key", client.key}};
  }
  [[nodiscard]] Json over_tls(const Json& files) const {
    return {{"host", "tcp://127.0.0.1:" + std::to_string(port)}, {"tls", files}};
  }
  [[nodiscard]] Json over_ssh(const SshdServer& through, const std::string& url) const {
    return {{"host", url},
            {"socket", engine.socket().string()},
            {"ssh", {{"identity", {through.identity()}}, {"known_hosts", through.known_hosts()}}}};
  }
  [[nodiscard]] Json over_ssh() const { return over_ssh(sshd, sshd.url()); }

  /// Connections that the engine serves now at its unix socket.
  [[nodiscard]] int at_socket() const {
    constexpr const char* connected = "03";
    std::ifstream table("/proc/net/unix");
    int count = 0;
    for (std::string line; std::getline(table, line);) {
      std::istringstream words(line);
      std::string skip, state, path;
      words >> skip >> skip >> skip >> skip >> skip >> state >> skip >> path;
      count += state == connected && path == engine.socket().string() ? 1 : 0;
    }
    return count;
  }
  /// The same at its TCP port.
  [[nodiscard]] int at_port() const {
    std::ostringstream own;
    own << ":" << std::hex << std::uppercase << port;
    std::ifstream table("/proc/net/tcp");
    int count = 0;
    for (std::string line; std::getline(table, line);) {
      std::istringstream words(line);
      std::string skip, local, state;
      words >> skip >> local >> skip >> state;
      count += state == "01" && local.ends_with(own.str()) ? 1 : 0;
    }
    return count;
  }
};

}  // namespace k4t::testing
