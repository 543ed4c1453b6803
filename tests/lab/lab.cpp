#include "lab/lab.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace k4t::testing::lab {
namespace {

namespace fs = std::filesystem;

constexpr unsigned first_number = 11;

/// $1: a folder for the disks, which are in memory so that no killed test leaves them behind. Holds them and the bridge
/// as long as it lives.
constexpr const char* wire_script = R"sh(
set -eu
mount -t tmpfs -o size=75% k4t-lab "$1"
ip link set lo up
ip link add name wire type bridge
ip link set wire up
exec sleep infinity
)sh";

/// $1 name, $2 its disk, $3 … folders that it shares with this machine. Debian's tini takes care of orphans. Root's
/// home begins empty: a shell over SSH reads what its user's says, which here may be anything and take seconds.
constexpr const char* machine_script = R"sh(
set -eu
name=$1 disk=$2 root=$2/root
shift 2
mkdir -p "$disk/upper" "$disk/work" "$disk/docker" "$disk/home" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" k4t-machine "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root/run/lock" "$root/run/sshd"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/var/lib/docker"
mount --bind "$disk/docker" "$root/var/lib/docker"
mount --bind "$disk/home" "$root/root"
for shared; do
  mkdir -p "$root$shared"
  mount --bind "$shared" "$root$shared"
done
hostname "$name"
cd "$root"
pivot_root . .
umount -l .
cd /
exec tini -s -- sleep infinity
)sh";

/// $1 a cgroup: what the machine's containers leave behind in the kernel.
constexpr const char* cleanup_script = R"sh(
for folder in /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1"; do
  [ -d "$folder" ] && find "$folder" -depth -type d -exec rmdir {} ';' && rmdir "${folder%/*}"
done
)sh";

pid_t only_child(pid_t parent) {
  std::ifstream list("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  pid_t child = -1;
  list >> child;
  return child;
}

std::string command_of(pid_t pid) {
  std::string text;
  std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/cmdline"), text, '\0');
  return text;
}

}  // namespace

std::string missing() {
  if (::geteuid() != 0) return "a lab of machines needs root";
  for (const char* program : {"unshare", "nsenter", "ip", "tini", "pivot_root", "sshd", "ss"}) {
    if (find_program(program).empty()) return std::string("a lab of machines needs the program ") + program;
  }
  return {};
}

Lab::Lab(Addresses addresses) : addresses_(addresses) {
  disks_ = scratch_.path() / "disks";
  fs::create_directories(disks_);
  const fs::path log = scratch_.path() / "wire.log";
  wire_ = std::make_unique<Server>(std::vector<std::string>{"unshare", "--mount", "--net", "--propagation", "private",
                                                            "sh", "-c", wire_script, "sh", disks_.string()},
                                   log);
  wire_pid_ = wire_->pid();
  if (!eventually([&] { return command_of(wire_pid_) == "sleep"; })) {
    throw std::runtime_error("the lab's wire: " + Scratch::read(log));
  }
}

Lab::~Lab() {
  for (auto& [name, machine] : machines_) machine->power_off();
}

Machine& Lab::add(const std::string& name) {
  const auto number = first_number + static_cast<unsigned>(machines_.size());
  auto& machine = machines_[name];
  if (machine != nullptr) throw std::runtime_error("there is a machine " + name + " already");
  machine.reset(new Machine(*this, name, number));
  machine->power_on();
  return *machine;
}

std::vector<std::string> Lab::on_the_wire(const std::vector<std::string>& argv) const {
  std::vector<std::string> all{"nsenter", "--target", std::to_string(wire_pid_), "--mount", "--net"};
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

Machine::Machine(Lab& lab, std::string name, unsigned number) : lab_(lab), name_(std::move(name)), number_(number) {}

Machine::~Machine() { power_off(); }

std::string Machine::address() const {
  return lab_.addresses_ == Addresses::ipv6 ? address6() : "192.0.2." + std::to_string(number_);
}
std::string Machine::address6() const { return "2001:db8::" + std::to_string(number_); }

std::vector<std::string> Machine::inside(const std::vector<std::string>& argv) const {
  if (!powered()) throw std::runtime_error(name_ + " is off");
  std::vector<std::string> all{"nsenter", "--target",      std::to_string(init_), "--all",
                               "env",     "--chdir=/root", "HOME=/root"};
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

Ran Machine::run(const std::vector<std::string>& argv, const std::string& input,
                 std::chrono::milliseconds timeout) const {
  return testing::run(inside(argv), input, timeout);
}

std::string Machine::must(const std::vector<std::string>& argv, const std::string& input) const {
  auto ran = run(argv, input);
  check(ran, argv.front() + " on " + name_);
  return std::move(ran.out);
}

fs::path Machine::log_file(const std::string& name) const { return lab_.folder() / (name_ + "-" + name + ".log"); }
std::string Machine::log(const std::string& name) const { return Scratch::read(log_file(name)); }

void Machine::begin(const std::string& name, Service& service) const {
  service.server = std::make_unique<Server>(inside(service.argv), log_file(name));
  if (!eventually(service.ready, std::chrono::seconds(40))) {
    throw std::runtime_error(name + " does not start on " + name_ + ": " + log(name));
  }
}

void Machine::serve(const std::string& name, const std::vector<std::string>& argv, std::function<bool()> ready) {
  Service& service = services_[name];
  service = {argv, std::move(ready), nullptr};
  order_.push_back(name);
  begin(name, service);
}

void Machine::start(const std::string& name) { begin(name, services_.at(name)); }

// The server's own process is nsenter's child; where nsenter dies first, the machine's first process adopts it.
void Machine::stop(const std::string& name) {
  Service& service = services_.at(name);
  if (service.server == nullptr) return;
  const pid_t itself = only_child(service.server->pid());
  if (itself > 0) {
    ::kill(itself, SIGTERM);
    if (!eventually([&] { return only_child(service.server->pid()) != itself; })) ::kill(itself, SIGKILL);
  }
  service.server.reset();
}

void Machine::power_off() {
  init_ = -1;
  power_.reset();
  for (auto& [name, service] : services_) service.server.reset();
}

void Machine::power_on() {
  const fs::path disk = lab_.disks_ / name_;
  power_ = std::make_unique<Server>(
      lab_.on_the_wire({"unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child",
                        "--propagation", "private", "sh", "-c", machine_script, "sh", name_, disk.string(),
                        lab_.folder().string(), K4T_SOURCE_DIR, K4T_BINARY_DIR}),
      log_file("power"), std::map<std::string, std::string>{},
      std::vector<std::string>{"sh", "-c", cleanup_script, "sh", cgroup()});
  pid_t init = -1;
  const bool up = eventually([&] {
    init = only_child(power_->pid());
    return init > 0 && command_of(init) == "tini";
  });
  if (!up) throw std::runtime_error(name_ + " does not start: " + log("power"));
  init_ = init;
  connect();
  for (const auto& name : order_) begin(name, services_.at(name));
}

// It stays the same over power cuts, as a machine's does: others remember it.
std::string Machine::hardware_address() const {
  char text[18];
  std::snprintf(text, sizeof text, "02:00:00:00:%02x:%02x", number_ >> 8 & 0xff, number_ & 0xff);
  return text;
}

std::string Machine::cgroup() const { return "k4t-lab-" + std::to_string(::getpid()) + "/" + name_; }

std::string Machine::port() const { return "m" + std::to_string(number_); }

void Machine::connect() const {
  const std::string pid = std::to_string(init_);
  // Of a machine that was just powered off the kernel takes the cable away only when it comes to it.
  testing::run(lab_.on_the_wire({"ip", "link", "delete", port()}));
  check(testing::run(
            lab_.on_the_wire({"ip", "link", "add", port(), "type", "veth", "peer", "name", "eth0", "netns", pid})),
        "a cable to " + name_);
  check(testing::run(lab_.on_the_wire({"ip", "link", "set", port(), "master", "wire", "up"})), "a cable to " + name_);
  const std::string ipv4 =
      lab_.addresses_ == Addresses::ipv6 ? std::string() : "address add " + address() + "/24 dev eth0\n";
  must({"ip", "-batch", "-"}, "link set lo up\nlink set eth0 address " + hardware_address() + "\n" + ipv4 +
                                  "address add " + address6() + "/64 dev eth0 nodad\nlink set eth0 up\n");
  for (const auto& [block, router] : lab_.routes_) follow(block, *router);
}

void Machine::follow(const std::string& block, const Machine& router) const {
  if (&router != this) must({"ip", "-6", "route", "replace", block, "via", router.address6()});
}

void Lab::route(const std::string& block, const Machine& router) {
  routes_.emplace_back(block, &router);
  for (const auto& [name, machine] : machines_) {
    if (machine->powered()) machine->follow(block, router);
  }
}

void Machine::unplug() const {
  check(testing::run(lab_.on_the_wire({"ip", "link", "set", port(), "down"})), "unplugging " + name_);
}

void Machine::plug() const {
  check(testing::run(lab_.on_the_wire({"ip", "link", "set", port(), "up"})), "plugging in " + name_);
}

fs::path Machine::at(const std::string& path) const { return "/proc/" + std::to_string(init_) + "/root" + path; }

void Machine::write(const std::string& path, const std::string& text, unsigned mode) const {
  const fs::path file = at(path);
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
  fs::permissions(file, static_cast<fs::perms>(mode));
}

std::string Machine::read(const std::string& path) const { return Scratch::read(at(path)); }

void Machine::enter_network() const {
  const std::string file = "/proc/" + std::to_string(init_) + "/ns/net";
  const int network = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  const bool entered = network >= 0 && ::setns(network, CLONE_NEWNET) == 0;
  if (network >= 0) ::close(network);
  if (!entered) throw std::runtime_error("the network of " + name_ + " cannot be entered");
}

}  // namespace k4t::testing::lab
