#include "support/real_cluster.hpp"

#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "k4t/http.hpp"

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string program() { return std::string(K4T_BINARY_DIR) + "/bin/k4t"; }

}  // namespace

std::string RealCluster::missing() {
  if (::geteuid() != 0) return "a cluster of real servers needs root";
  if (!NginxServer::available()) return "nginx with its stream module is not installed";
  if (!HaproxyServer::available()) return "HAProxy is not installed";
  if (!BindServer::installed()) return "BIND is not installed";
  return {};
}

RealCluster::RealCluster(const RealClusterOptions& options)
    : http_port_(free_port()),
      tcp_port_(free_port()),
      first_port_(20000),
      status_port_(free_port()),
      docker_(!options.docker_host.empty()),
      nginx_(scratch_, "nginx"),
      haproxy_(scratch_, "haproxy"),
      ns1_({domain, {}, true}),
      ns2_({domain, {}, true}) {
  nginx_.start();
  haproxy_.start();
  fs::create_directories(folder() / "services");
  write_config(options);
}

void RealCluster::write_config(const RealClusterOptions& options) const {
  std::string text = "[cluster]\nname = \"demo\"\ndomain = \"" + std::string(domain) +
                     "\"\nstate = \"state\"\ndns_ttl = \"1s\"\naccept_single_copy = true\n\n[cluster.availability]\ngateways = \"" +
                     options.availability + "\"\ndns = \"" + options.availability + "\"\n\n[plugins]\nfolders = [\"" +
                     K4T_BINARY_DIR + "/plugins\"]\n\n[[node]]\nname = \"n1\"\naddress = \"127.0.0.1\"\nports = \"" +
                     std::to_string(first_port_) + "-" + std::to_string(first_port_ + 999) + "\"\n";
  if (docker_) {
    text += "driver = \"docker\"\noptions.host = \"" + options.docker_host + "\"\n";
  } else {
    text += "driver = \"process\"\noptions.folder = \"" + (folder() / "process").string() +
            "\"\noptions.images = { \"app\" = \"" + K4T_BINARY_DIR + "/bin/k4t-demo-app\" }\n";
  }
  text += "\n[[gateway]]\nname = \"gw1\"\ndriver = \"nginx\"\naddress = \"" + std::string(nginx_address) +
          "\"\noptions.config = \"" + nginx_.config().string() + "\"\noptions.folder = \"" + nginx_.folder().string() +
          "\"\noptions.pid_file = \"" + nginx_.pid_file().string() +
          "\"\noptions.status_port = " + std::to_string(status_port_) +
          "\n\n[[gateway]]\nname = \"gw2\"\ndriver = \"haproxy\"\naddress = \"" + haproxy_address +
          "\"\noptions.config = [\"" + haproxy_.config().string() + "\"]\noptions.file = \"" +
          haproxy_.file().string() + "\"\noptions.master_socket = \"" + haproxy_.master_socket().string() + "\"\n";
  for (const auto* server : {&ns1_, &ns2_}) {
    text += "\n[[dns]]\nname = \"" + std::string(server == &ns1_ ? "ns1" : "ns2") +
            "\"\ndriver = \"bind\"\naddress = \"127.0.0.1\"\noptions.port = " + std::to_string(server->port()) +
            "\noptions.key_file = \"" + server->key_file() + "\"\n";
  }
  scratch_.write("k4t.toml", text);
}

RealCluster::Command RealCluster::k4t(const std::vector<std::string>& arguments,
                                      const std::map<std::string, std::string>& env) {
  const fs::path out = folder() / "out.txt";
  const fs::path err = folder() / "err.txt";
  std::vector<std::string> argv{"env", "--chdir=" + folder().string()};
  for (const auto& [name, value] : env) argv.push_back(name + "=" + value);
  for (const char* part : {"sh", "-c", R"(out=$1 err=$2; shift 2; exec "$@" >"$out" 2>"$err")", "sh"})
    argv.emplace_back(part);
  argv.push_back(out.string());
  argv.push_back(err.string());
  argv.push_back(program());
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto ran = run(argv, {}, std::chrono::minutes(3));
  return {ran.exit_code, Scratch::read(out), Scratch::read(err)};
}

std::unique_ptr<Server> RealCluster::start_apply(const fs::path& log) {
  return std::make_unique<Server>(
      std::vector<std::string>{"env", "--chdir=" + folder().string(), program(), "apply", "-f", "services"}, log);
}

void RealCluster::service(const std::string& name, const std::string& text) {
  scratch_.write("services/" + name + ".toml",
                 replaced(replaced(text, "@http@", std::to_string(http_port_)), "@tcp@", std::to_string(tcp_port_)));
}

void RealCluster::remove_service_file(const std::string& name) { fs::remove(folder() / "services" / (name + ".toml")); }

void RealCluster::web(unsigned replicas, const std::string& greeting) {
  const std::string port = docker_ ? "port = 8080\n" : "";
  service("web",
          "[[service]]\nname = \"web\"\nimage = \"app\"\ncommand = [\"http\"]\nreplicas = " + std::to_string(replicas) +
              "\n" + (docker_ ? "" : "network = \"host\"\n") + "env = { GREETING = \"" + greeting +
              "\" }\nstop_timeout = \"2s\"\ndrain_timeout = \"5s\"\n" + "[[service.port]]\nname = \"http\"\n" + port +
              "[service.health]\nhttp = \"/healthz\"\ninterval = \"500ms\"\nrise = 1\ndeadline = \"20s\"\n"
              "[[service.expose]]\nlisten = @http@\n");
}

RealCluster::Answer RealCluster::get(const std::string& gateway_address, const std::string& host,
                                     const std::string& path) const {
  http::Client client({transport::local_host(), {}, gateway_address, http_port_});
  http::Request request;
  request.target = path;
  request.headers["Host"] = host + "." + domain;
  request.timeout = std::chrono::seconds(5);
  const auto response = client.send(request);
  return response ? Answer{response->status, response->body} : Answer{0, response.error().message};
}

std::map<std::string, int> RealCluster::served_versions() {
  const auto status = k4t({"status", "-o", "json"});
  std::map<std::string, int> versions;
  const Json json = Json::parse(status.out, nullptr, false);
  if (json.is_discarded()) throw std::runtime_error("k4t status: " + status.out + status.err);
  for (const auto& member : json.at("members")) {
    int version = -1;
    if (member.contains("seen"))
      version = member["seen"].contains("served") ? member["seen"]["served"]["version"].get<int>() : 0;
    versions[member.at("name")] = version;
  }
  return versions;
}

void RealCluster::edit_config(const std::string& from, const std::string& to) const {
  const std::string before = Scratch::read(config());
  const std::string after = replaced(before, from, to);
  if (after == before) throw std::runtime_error("k4t.toml does not contain: " + from);
  std::ofstream(config(), std::ios::binary) << after;
}

}  // namespace k4t::testing
