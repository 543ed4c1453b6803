#pragma once

#include <string>
#include <vector>

#include "lab/lab.hpp"
#include "support/certificates.hpp"

/// Puts servers on a lab's machines the way the drivers' READMEs tell an administrator to: Debian's paths and ports,
/// started by hand, because nothing else starts them there. Each returns when the server answers.

namespace k4t::testing::lab {

/// How k4t reaches the lab's machines.
class Keys {
 public:
  explicit Keys(const Lab& lab);

  /// sshd with its stock limits, for root and for the user "k4t". Its host key is added to known_hosts().
  void run_sshd(Machine& machine) const;

  [[nodiscard]] std::string identity() const { return (folder_ / "id_ed25519").string(); }
  [[nodiscard]] std::string known_hosts() const { return (folder_ / "known_hosts").string(); }

 private:
  std::filesystem::path folder_;
};

/// Docker Engine with its own bridge and firewall rules, on its usual socket.
void run_docker(Machine& machine);
/// Adds a network with that block of routed IPv6 addresses, as runtime-docker's README tells.
void add_docker_network(Machine& machine, const std::string& name, const std::string& block);
/// Where that engine's socket is, as this process sees it.
std::filesystem::path docker_socket(const Machine& machine);

/// Debian's docker-registry on port 5000, which speaks TLS with a certificate of `authority` and lets in who is in
/// `users`, the content of an htpasswd file. Returns "ADDRESS:5000".
std::string run_registry(Machine& machine, const Authority& authority, const std::string& users);
/// The node's engine believes certificates of `authority` from that registry. Until distrust_registry().
void trust_registry(const Machine& node, const std::string& registry, const Authority& authority);
void distrust_registry(const Machine& node, const std::string& registry);

/// With Debian's main configuration, extended by k4t's includes. A `user` other than root is made there and may do what
/// the driver's README asks for, and nothing else.
void run_nginx(Machine& machine, const std::string& user = "root");
void run_haproxy(Machine& machine, const std::string& user = "root");

/// A new key "k4t" for BIND and its driver.
void make_bind_key(const std::filesystem::path& file);
/// A primary for `zone` that takes updates signed with the key in `key_file`.
void run_bind(Machine& machine, const std::string& zone, const std::filesystem::path& key_file);

/// The domain controller of an Active Directory domain whose zone is `zone`, with Samba's own DNS server, which takes
/// secure updates only. It makes the account "k4t" and puts its keytab in `keytab_file`.
void run_samba(Machine& machine, const std::string& zone, const std::filesystem::path& keytab_file);

}  // namespace k4t::testing::lab
