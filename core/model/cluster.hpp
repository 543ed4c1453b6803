#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/json.hpp"
#include "k4t/ssh.hpp"

/// What k4t.toml says, validated. Every name here is unique in its kind and matches [a-z0-9]([a-z0-9-]*[a-z0-9])?.

namespace k4t::model {

/// How many members of a group must be able to serve a change before it is decided.
enum class Availability {
  one,  ///< one yes in each group suffices; the others lag until they return
  all,  ///< every member's yes is needed
};
K4T_JSON_ENUM_DECLARE(Availability, {Availability::one, "one"}, {Availability::all, "all"})

/// Where DNS leads those who ask for a service.
enum class Reach {
  gateways,   ///< to the gateways, which pass requests on
  instances,  ///< to the healthy instances themselves
};
K4T_JSON_ENUM_DECLARE(Reach, {Reach::gateways, "gateways"}, {Reach::instances, "instances"})

/// One configured thing behind a driver. `options` has passed the driver's own schema.
struct Driven {
  std::string name;
  std::string driver;   ///< the manifest's name, e.g. "nginx"
  std::string address;  ///< see OpenRequest::address; canonical text, IPv4 or IPv6
  Json options = Json::object();
  friend bool operator==(const Driven&, const Driven&) = default;
};

struct Node : Driven {
  std::uint16_t first_port = 20000;  ///< host ports that k4t may give to instances, inclusive
  std::uint16_t last_port = 29999;
  std::map<std::string, std::string> labels;
  std::optional<std::uint32_t> cpu_millis;  ///< offered to instances; absent: what the machine has
  std::optional<std::uint64_t> memory_bytes;
  /// Instances with a network of their own get addresses of their own from this block, which is routed to the node,
  /// instead of host ports; see Subnet. Empty: none.
  std::string subnet;
  /// What DNS answers instead of `address` where it leads to instances: the cloud's, which passes on to it what comes
  /// for its ports. Empty: `address` itself.
  std::string public_address;
  std::uint16_t first_public_port = 0;  ///< its port for first_port; the others follow. 0: the same ports

  /// The public address's port for a port of the node.
  [[nodiscard]] std::uint16_t public_port(std::uint16_t port) const;
  /// The node's port for one of the public address.
  [[nodiscard]] std::uint16_t inner_port(std::uint16_t public_port) const;
};

/// A register that promises and votes: a file in a folder of a machine reached through the transport, or a record in
/// the cluster's domain on one DNS server. The latter holds no records. Part of the decided state: what a file
/// witness's JSON says never changes.
struct Witness {
  std::string id;
  std::string host = "local";        ///< the folder's machine, or the DNS server's address
  std::string path;                  ///< absolute folder; empty: in DNS
  std::optional<std::string> dns{};  ///< the [[dns]] table's name
  friend bool operator==(const Witness&, const Witness&) = default;
};
K4T_JSON_DECLARE(Witness)

/// For people: "ssh://h1 /var/lib/k4t/witness", "DNS server ns1 (192.0.2.53)".
std::string place_of(const Witness& witness);

/// The machine behind a host or an address, without what may differ between two names of it: user and usual port.
std::string machine_of(const std::string& host);

/// A folder that keeps a copy of each version's record.
struct RecordFolder {
  std::string host = "local";
  std::string path;  ///< absolute
  friend bool operator==(const RecordFolder&, const RecordFolder&) = default;
};

/// A machine that gets copies of the master's metadata.
struct BackupPlace {
  std::string node{};                         ///< the [[node]] table that says where it is; empty: `host` alone
  std::string host{};                         ///< "ssh://…" or "local"
  std::string path = "/var/lib/k4t/backup";   ///< absolute
  std::uint32_t every_s = 5 * 60;             ///< how old the newest copy may be while a master runs
  std::uint32_t keep = 100;                   ///< how many, and
  std::uint32_t keep_for_s = 90 * 24 * 3600;  ///< how long
  friend bool operator==(const BackupPlace&, const BackupPlace&) = default;

  /// For people: the node's name, else the machine.
  [[nodiscard]] const std::string& title() const { return node.empty() ? host : node; }
};

/// How copies are closed to those who can read them.
struct BackupKey {
  bool encrypt = true;
  std::string key_file{};         ///< absolute; empty with passphrase_file, and where nothing is encrypted
  std::string passphrase_file{};  ///< absolute
};

struct Cluster {
  std::string name;
  std::string domain;  ///< fully qualified, lower case, without the final dot
  std::string state_folder;
  std::vector<std::string> plugin_folders;
  Availability gateway_availability = Availability::one;
  Availability dns_availability = Availability::one;
  std::uint32_t dns_ttl_s = 5;
  std::optional<Reach> reach;                ///< of services that do not say; absent: gateways where there are any
  bool accept_single_copy = false;           ///< a change whose record is on the master's machine alone is done
  std::uint32_t removal_limit_percent = 50;  ///< a plan that removes more instances than this needs --force
  std::vector<Node> nodes;
  std::vector<Driven> gateways;
  std::vector<Driven> dns;
  std::vector<Witness> witnesses;
  std::vector<RecordFolder> records;
  std::vector<BackupPlace> backups;
  BackupKey backup_key;
  std::vector<std::string> power_off = {"systemctl", "poweroff"};  ///< the command that ends the master's machine
  transport::SshOptions ssh;  ///< how witnesses and, where their options do not say, drivers reach ssh:// hosts
};

}  // namespace k4t::model
