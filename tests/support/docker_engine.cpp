#include "support/docker_engine.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "k4t/http.hpp"

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;

/// Takes the first free bridge of many (making an interface is the lock, for its name is unique) and becomes the
/// engine. $1 folder, $2 interface group, $3 cgroup, then further arguments of dockerd. /run is covered, so that no
/// other containerd is found and the shims' sockets vanish with the namespace. Addresses: 198.18.0.0/15 is set aside
/// for tests (RFC 2544).
constexpr const char* start_script = R"sh(
set -e
folder=$1
group=$2
cgroup=$3
shift 3
n=1
until ip link add name "k4t-dk$n" group "$group" type bridge; do
  n=$((n + 1))
  [ "$n" -lt 200 ]
done
ip address add "198.18.$n.1/24" dev "k4t-dk$n"
ip link set "k4t-dk$n" up
mount -t tmpfs -o mode=755 none /run
exec dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
  --host "unix://$folder/docker.sock" \
  --bridge "k4t-dk$n" --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false \
  --cgroup-parent "$cgroup" --storage-driver overlay2 --config-file "$folder/daemon.json" "$@"
)sh";

/// $1 interface group, $2 cgroup.
constexpr const char* cleanup_script = R"sh(
ip link delete group "$1" type bridge
for folder in /sys/fs/cgroup/"$2" /sys/fs/cgroup/*/"$2"; do
  [ -d "$folder" ] && find "$folder" -depth -type d -exec rmdir {} ';'
done
)sh";

std::string cgroup_of(int group) { return "k4t-test-" + std::to_string(group); }

/// Distinct for all engines that run at the same time: a process identifier has at most 22 bits.
int next_group() {
  static int made = 0;
  return (::getpid() << 8) + ++made % 256;
}

http::Client client_to(const fs::path& socket) {
  http::Endpoint endpoint;
  endpoint.unix_path = socket.string();
  return http::Client(std::move(endpoint));
}

void fill(const fs::path& root, const std::vector<ImageFile>& files) {
  for (const char* folder : {"bin", "etc", "tmp", "proc", "sys", "dev"}) fs::create_directories(root / folder);
  fs::permissions(root / "tmp", static_cast<fs::perms>(01777));
  fs::copy_file(find_program("busybox"), root / "bin/busybox");
  for (const char* name : {"sh", "sleep", "cat", "echo", "true", "false", "env", "httpd", "head", "tail", "id", "ls",
                           "wget", "printf", "dd", "test", "kill", "ps", "nslookup"}) {
    fs::create_symlink("busybox", root / "bin" / name);
  }
  for (const auto& file : files) {
    const fs::path target = root / fs::path(file.target).relative_path();
    fs::create_directories(target.parent_path());
    fs::copy_file(file.source, target);
  }
}

}  // namespace

bool engine_answers(const fs::path& socket) {
  http::Request request;
  request.target = "/_ping";
  request.timeout = std::chrono::seconds(2);
  const auto response = client_to(socket).send(request);
  return response.ok() && response->status == 200;
}

std::string DockerEngine::missing() {
  if (::geteuid() != 0) return "a Docker Engine needs root";
  for (const char* program : {"dockerd", "docker-proxy", "containerd", "runc", "ip", "unshare", "tar", "busybox"}) {
    if (find_program(program).empty()) return std::string("a Docker Engine for tests needs the program ") + program;
  }
  return {};
}

DockerEngine& DockerEngine::shared() {
  static DockerEngine engine;
  return engine;
}

DockerEngine::DockerEngine(std::vector<std::string> arguments)
    : arguments_(std::move(arguments)), group_(next_group()) {
  scratch_.write("daemon.json", "{}");
  start();
}

DockerEngine::~DockerEngine() = default;

void DockerEngine::start() {
  const std::string folder = scratch_.path().string();
  const std::string group = std::to_string(group_);
  fs::remove(scratch_.path() / "pid");
  std::vector<std::string> argv{"unshare", "--mount", "--propagation", "private",        "sh", "-c", start_script,
                                "sh",      folder,    group,           cgroup_of(group_)};
  argv.insert(argv.end(), arguments_.begin(), arguments_.end());
  server_ =
      std::make_unique<Server>(argv, scratch_.path() / "log", std::map<std::string, std::string>{},
                               std::vector<std::string>{"sh", "-c", cleanup_script, "sh", group, cgroup_of(group_)});
  if (!eventually([&] { return engine_answers(socket()); }, std::chrono::seconds(40))) {
    throw std::runtime_error("the Docker Engine does not start: " + log());
  }
}

void DockerEngine::kill() { server_->kill_all(); }
void DockerEngine::freeze() const { server_->signal(SIGSTOP); }
void DockerEngine::thaw() const { server_->signal(SIGCONT); }

void import_image(const fs::path& socket, const std::string& name, const std::vector<ImageFile>& files) {
  const Scratch image;
  const fs::path root = image.path() / "root";
  fill(root, files);
  const fs::path tar = image.path() / "image.tar";
  check(run({"tar", "-C", root.string(), "--owner=0", "--group=0", "-cf", tar.string(), "."}), "tar");
  const auto colon = name.rfind(':');
  http::Request request;
  request.method = "POST";
  request.target = "/images/create?fromSrc=-&repo=" + http::percent_encode(name.substr(0, colon)) +
                   "&tag=" + http::percent_encode(colon == std::string::npos ? "latest" : name.substr(colon + 1));
  request.headers["Content-Type"] = "application/x-tar";
  request.body = Scratch::read(tar);
  request.timeout = std::chrono::seconds(60);
  const auto response = client_to(socket).send(request);
  if (!response) throw std::runtime_error("cannot import " + name + ": " + response.error().message);
  if (response->status != 200 || response->body.find("\"error\"") != std::string::npos) {
    throw std::runtime_error("cannot import " + name + ": " + response->body);
  }
}

}  // namespace k4t::testing
