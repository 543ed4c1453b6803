#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/process.hpp"

/// Machines of their own for tests: each has its network, processes, host name and disk, and all hang on one wire. Each
/// server sits where Debian puts it and listens on its usual port. Nothing of it can reach the real network, and
/// nothing is left when the lab goes away, however the test ends.
///
/// A machine's disk begins as a view of this machine's; what is written there stays apart, in memory, until the lab
/// ends.

namespace k4t::testing::lab {

/// Why there can be no lab here; empty: there can.
std::string missing();

class Lab;

/// One machine. Not thread-safe, apart from run() and enter_network().
class Machine {
 public:
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string address() const;   ///< 192.0.2.N; on a wire that speaks IPv6 only the next one
  [[nodiscard]] std::string address6() const;  ///< 2001:db8::N
  [[nodiscard]] unsigned number() const { return number_; }  ///< N

  /// Runs a command there to its end.
  Ran run(const std::vector<std::string>& argv, const std::string& input = {},
          std::chrono::milliseconds timeout = std::chrono::seconds(60)) const;
  /// The same; throws where it fails.
  std::string must(const std::vector<std::string>& argv, const std::string& input = {}) const;

  /// A parent for its containers' cgroups, whose names are the kernel's, not the machine's.
  [[nodiscard]] std::string cgroup() const;

  /// Starts a server there, now and whenever the machine is powered on, and waits for `ready`. Its output is in
  /// log(name).
  void serve(const std::string& name, const std::vector<std::string>& argv, std::function<bool()> ready);
  /// Ends that server, as an administrator would; it comes back with start() or with the machine.
  void stop(const std::string& name);
  void start(const std::string& name);
  [[nodiscard]] std::string log(const std::string& name) const;

  /// Every process dies at once, as in a power cut; the disk stays as it is.
  void power_off();
  void power_on();
  [[nodiscard]] bool powered() const { return init_ > 0; }

  /// Takes the machine off the wire and puts it back; its processes go on.
  void unplug() const;
  void plug() const;

  /// A file there.
  void write(const std::string& path, const std::string& text, unsigned mode = 0644) const;
  [[nodiscard]] std::string read(const std::string& path) const;
  /// The same file as this process sees it. REQUIRES: powered().
  [[nodiscard]] std::filesystem::path at(const std::string& path) const;

  /// From now on the calling thread's sockets are the machine's. There is no way back: use a thread of its own.
  void enter_network() const;

 private:
  friend class Lab;
  struct Service {
    std::vector<std::string> argv;
    std::function<bool()> ready;
    std::unique_ptr<Server> server;
  };
  Machine(Lab& lab, std::string name, unsigned number);
  void connect() const;
  void follow(const std::string& block, const Machine& router) const;
  [[nodiscard]] std::string hardware_address() const;
  [[nodiscard]] std::string port() const;  ///< its end of the cable at the wire
  void begin(const std::string& name, Service& service) const;
  [[nodiscard]] std::vector<std::string> inside(const std::vector<std::string>& argv) const;
  [[nodiscard]] std::filesystem::path log_file(const std::string& name) const;

  Lab& lab_;
  std::string name_;
  unsigned number_;
  pid_t init_ = -1;  ///< its first process, as seen from here
  std::unique_ptr<Server> power_;
  std::map<std::string, Service> services_;
  std::vector<std::string> order_;  ///< in which services were first started
};

enum class Addresses { both, ipv6 };  ///< what the wire speaks

class Lab {
 public:
  explicit Lab(Addresses addresses = Addresses::both);
  ~Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  /// From now on every machine sends what is for that block of IPv6 addresses to `router`, as a machine room's routers
  /// would.
  void route(const std::string& block, const Machine& router);

  /// Makes a machine and powers it on. Names are unique.
  Machine& add(const std::string& name);
  Machine& operator[](const std::string& name) { return *machines_.at(name); }

  /// A folder of this process for keys and the like; every machine sees it under the same path.
  [[nodiscard]] const std::filesystem::path& folder() const { return scratch_.path(); }

 private:
  friend class Machine;
  /// argv where the wire is, which no machine is part of.
  [[nodiscard]] std::vector<std::string> on_the_wire(const std::vector<std::string>& argv) const;

  Addresses addresses_;
  std::vector<std::pair<std::string, const Machine*>> routes_;  ///< blocks, and where they lead
  Scratch scratch_;
  std::filesystem::path disks_;
  std::unique_ptr<Server> wire_;
  pid_t wire_pid_ = -1;
  std::map<std::string, std::unique_ptr<Machine>> machines_;
};

}  // namespace k4t::testing::lab
