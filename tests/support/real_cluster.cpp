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

std::map<std::string, int> served_versions(const K4tCommand& status) {
  const Json json = Json::parse(status.out, nullptr, false);
  if (json.is_discarded()) throw std::runtime_error("k4t status: " + status.out + status.err);
  std::map<std::string, int> versions;
  for (const auto& member : json.at("members")) {
    const bool answers = member.contains("seen");
    const bool has = answers && member["seen"].contains("served");
    versions[member.at("name")] = has ? member["seen"]["served"]["version"].get<int>() : answers ? 0 : -1;
  }
  return versions;
}

std::string RealCluster::missing(const RealClusterOptions& options) {
  if (::geteuid() != 0) return "a cluster of real servers needs root";
  for (const auto& kind : options.gateways) {
    if (kind == "nginx" && !NginxServer::available()) return "nginx with its stream module is not installed";
    if (kind == "haproxy" && !HaproxyServer::available()) return "HAProxy is not installed";
  }
  for (const auto& kind : options.dns) {
    if (auto why = name_server_missing(kind); !why.empty()) return why;
  }
  return {};
}

RealCluster::RealCluster(const RealClusterOptions& options)
    : http_port_(free_port()), tcp_port_(free_port()), docker_(!options.docker_host.empty()) {
  for (const auto& kind : options.gateways) add_gateway(kind);
  for (const auto& kind : options.dns) dns_.push_back(make_name_server(kind, domain));
  fs::create_directories(folder() / "services");
  write_config(options);
}

void RealCluster::add_gateway(const std::string& kind) {
  Gateway gateway;
  gateway.name = "gw" + std::to_string(gateways_.size() + 1);
  gateway.address = gateway_address(gateways_.size());
  if (kind == "nginx") {
    gateway.status_port = free_port();
    gateway.nginx = std::make_unique<NginxServer>(scratch_, gateway.name);
    gateway.nginx->start();
  } else {
    gateway.haproxy = std::make_unique<HaproxyServer>(scratch_, gateway.name);
    gateway.haproxy->start();
  }
  gateways_.push_back(std::move(gateway));
}

std::string RealCluster::settings(const Gateway& gateway) {
  const std::string head = "\n[[gateway]]\nname = \"" + gateway.name + "\"\naddress = \"" + gateway.address + "\"\n";
  if (gateway.nginx != nullptr) {
    const NginxServer& nginx = *gateway.nginx;
    return head + "driver = \"nginx\"\noptions.config = \"" + nginx.config().string() + "\"\noptions.folder = \"" +
           nginx.folder().string() + "\"\noptions.pid_file = \"" + nginx.pid_file().string() +
           "\"\noptions.status_port = " + std::to_string(gateway.status_port) + "\n";
  }
  const HaproxyServer& haproxy = *gateway.haproxy;
  return head + "driver = \"haproxy\"\noptions.config = [\"" + haproxy.config().string() + "\"]\noptions.file = \"" +
         haproxy.file().string() + "\"\noptions.master_socket = \"" + haproxy.master_socket().string() + "\"\n";
}

void RealCluster::write_config(const RealClusterOptions& options) const {
  std::string text =
      "[cluster]\nname = \"demo\"\ndomain = \"" + std::string(domain) +
      "\"\nstate = \"state\"\ndns_ttl = \"1s\"\naccept_single_copy = true\n\n[cluster.availability]\ngateways = \"" +
      options.availability + "\"\ndns = \"" + options.availability + "\"\n\n[plugins]\nfolders = [\"" + K4T_BINARY_DIR +
      "/plugins\"]\n";
  for (unsigned number = 1; number <= options.nodes; ++number) {
    const std::string at = std::to_string(number);
    const unsigned first = options.first_port + (number - 1) * 1000;
    text += "\n[[node]]\nname = \"n" + at + "\"\naddress = \"127.0.0." + at + "\"\nports = \"" + std::to_string(first) +
            "-" + std::to_string(first + 999) + "\"\n";
    if (docker_) {
      text += "driver = \"docker\"\noptions.host = \"" + options.docker_host + "\"\n";
    } else {
      text += "driver = \"process\"\noptions.folder = \"" + process_folder(number).string() +
              "\"\noptions.images = { \"app\" = \"" + K4T_BINARY_DIR + "/bin/k4t-demo-app\" }\n";
    }
  }
  for (const auto& gateway : gateways_) text += settings(gateway);
  for (std::size_t index = 0; index < dns_.size(); ++index) {
    text += "\n[[dns]]\nname = \"ns" + std::to_string(index + 1) + "\"\n" + dns_[index]->settings();
  }
  scratch_.write("k4t.toml", text);
}

fs::path RealCluster::process_folder(unsigned number) const {
  return folder() / (number == 1 ? "process" : "process" + std::to_string(number));
}

std::vector<std::string> RealCluster::process_options(unsigned number) const {
  return {"folder=" + process_folder(number).string(),
          std::string(R"(images={"app":")") + K4T_BINARY_DIR + R"(/bin/k4t-demo-app"})"};
}

RealCluster::Gateway& RealCluster::gateway(const std::string& name) {
  for (auto& one : gateways_) {
    if (one.name == name) return one;
  }
  throw std::runtime_error("there is no gateway " + name);
}

NginxServer& RealCluster::nginx() {
  for (auto& one : gateways_) {
    if (one.nginx != nullptr) return *one.nginx;
  }
  throw std::runtime_error("there is no nginx");
}

HaproxyServer& RealCluster::haproxy() {
  for (auto& one : gateways_) {
    if (one.haproxy != nullptr) return *one.haproxy;
  }
  throw std::runtime_error("there is no HAProxy");
}

void RealCluster::stop_member(const std::string& name) {
  if (name.starts_with("ns")) return dns(std::stoul(name.substr(2)) - 1).stop();
  Gateway& one = gateway(name);
  one.nginx != nullptr ? one.nginx->stop() : one.haproxy->stop();
}

void RealCluster::start_member(const std::string& name) {
  if (name.starts_with("ns")) return dns(std::stoul(name.substr(2)) - 1).start();
  Gateway& one = gateway(name);
  one.nginx != nullptr ? one.nginx->start() : one.haproxy->start();
}

std::uint16_t RealCluster::status_port(const std::string& name) { return gateway(name).status_port; }

RealCluster::Command RealCluster::k4t(const std::vector<std::string>& arguments,
                                      const std::map<std::string, std::string>& env) {
  const fs::path out = folder() / "out.txt";
  const fs::path err = folder() / "err.txt";
  std::vector<std::string> argv{"env", "--chdir=" + folder().string()};
  for (const auto& [name, value] : env) argv.push_back(name + "=" + value);
  for (const char* part : {"sh", "-c", R"(echo $$ >pid.txt; out=$1 err=$2; shift 2; exec "$@" >"$out" 2>"$err")", "sh"})
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
  return get_at(gateway_address, http_port_, host, path);
}

RealCluster::Answer RealCluster::get_at(const std::string& address, std::uint16_t port, const std::string& host,
                                        const std::string& path) const {
  http::Client client({transport::local_host(), {}, address, port});
  http::Request request;
  request.target = path;
  request.headers["Host"] = host + "." + domain;
  request.headers["Connection"] = "close";
  request.timeout = std::chrono::seconds(5);
  const auto response = client.send(request);
  return response ? Answer{response->status, response->body} : Answer{0, response.error().message};
}

void RealCluster::edit_config(const std::string& from, const std::string& to) const {
  const std::string before = Scratch::read(config());
  const std::string after = replaced(before, from, to);
  if (after == before) throw std::runtime_error("k4t.toml does not contain: " + from);
  std::ofstream(config(), std::ios::binary) << after;
}

}  // namespace k4t::testing
