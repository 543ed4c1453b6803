#include "lab/cluster.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "k4t/http.hpp"
#include "support/bind_server.hpp"
#include "support/docker_engine.hpp"
#include "support/haproxy_server.hpp"
#include "support/nginx_server.hpp"
#include "support/samba_server.hpp"

namespace k4t::testing::lab {
namespace {

namespace fs = std::filesystem;

constexpr const char* folder = "/root/k4t";

std::string service_file(const std::string& name) { return std::string(folder) + "/services/" + name + ".toml"; }

std::string program() { return std::string(K4T_BINARY_DIR) + "/bin/k4t"; }

std::string numbered(const char* kind, std::size_t index) { return kind + std::to_string(index + 1); }

/// Each of the jobs in a thread of its own; what one throws is thrown here.
void side_by_side(const std::vector<std::function<void()>>& jobs) {
  std::vector<std::string> failures(jobs.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    threads.emplace_back([&, i] {
      try {
        jobs[i]();
      } catch (const std::exception& failed) {
        failures[i] = failed.what();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& failure : failures) {
    if (!failure.empty()) throw std::runtime_error(failure);
  }
}

/// Of a node's instances, routed to it.
std::string subnet_of(const Machine& node) { return "2001:db8:0:" + std::to_string(node.number()) + "::/64"; }

Result<http::Response> get(const std::string& address, std::uint16_t port, const std::string& name,
                           const std::string& target = "/") {
  http::Client client({transport::local_host(), {}, address, port});
  http::Request request;
  request.target = target;
  request.headers["Host"] = name + "." + Cluster::domain;
  request.headers["Connection"] = "close";
  request.timeout = std::chrono::seconds(15);
  return client.send(request);
}

/// What is wrong with an answer; empty: it is 200 with that in its body.
std::string wrong_with(const Result<http::Response>& response, const std::string& expected) {
  if (!response) return response.error().message;
  const bool good = response->status == 200 && response->body.find(expected) != std::string::npos;
  return good ? std::string() : std::to_string(response->status) + ": " + response->body;
}

/// Questions that are asked from a machine, in whatever thread.
Traffic::Ask asked_on(const Machine& machine, Traffic::Ask ask) {
  return [&machine, ask = std::move(ask), there = false]() mutable {
    if (!there) machine.enter_network();
    there = true;
    return ask();
  };
}

/// How many of a service's instances on the engine behind that socket run and say that they are healthy.
std::size_t count_healthy(const fs::path& socket, const std::string& service) {
  http::Client engine({transport::local_host(), socket.string()});
  http::Request request;
  request.target =
      "/containers/json?filters=" + http::percent_encode(Json{{"label", {"k4t.service=" + service}}}.dump());
  const auto listed = engine.send(request);
  if (!listed || listed->status != 200) return 0;
  std::size_t healthy = 0;
  for (const auto& container : Json::parse(listed->body)) {
    for (const auto& port : container.at("Ports")) {
      if (!port.contains("PublicPort")) continue;
      const auto status = http::probe(port.at("IP"), port.at("PublicPort"), "/healthz", std::chrono::seconds(15));
      if (status && *status == 200) ++healthy;
    }
  }
  return healthy;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("k4t.toml does not contain: " + from);
  return text.replace(at, from.size(), to);
}

}  // namespace

std::string Cluster::missing(const ClusterOptions& options) {
  if (auto why = lab::missing(); !why.empty()) return why;
  if (auto why = DockerEngine::missing(); !why.empty()) return why;
  if (!NginxServer::available()) return "nginx with its stream module is not installed";
  if (!HaproxyServer::available()) return "HAProxy is not installed";
  if (!BindServer::installed()) return "BIND is not installed";
  if (std::ranges::find(options.dns, "samba") != options.dns.end() && !SambaServer::installed())
    return "Samba's AD DC is not installed";
  return {};
}

Cluster::Cluster(const ClusterOptions& options) : options_(options), lab_(options.addresses), keys_(lab_) {
  lab_.add("master");
  lab_.add("client");
  for (std::size_t i = 0; i < options.nodes; ++i) lab_.add(numbered("n", i));
  for (std::size_t i = 0; i < options.gateways.size(); ++i) lab_.add(numbered("gw", i));
  for (std::size_t i = 0; i < options.dns.size(); ++i) lab_.add(numbered("ns", i));
  start_servers();
  move_master("master");
}

void Cluster::start_servers() {
  // Host keys go into one file of known hosts, one after the other.
  for (std::size_t i = 0; i < options_.nodes; ++i) keys_.run_sshd(lab_[numbered("n", i)]);
  for (std::size_t i = 0; i < options_.gateways.size(); ++i) keys_.run_sshd(lab_[numbered("gw", i)]);
  std::vector<std::function<void()>> jobs;
  for (std::size_t i = 0; i < options_.nodes; ++i) {
    jobs.emplace_back([this, i] {
      Machine& node = lab_[numbered("n", i)];
      run_docker(node);
      import_image(docker_socket(node), "app", {{std::string(K4T_BINARY_DIR) + "/bin/k4t-demo-app", "/app"}});
      if (options_.addresses == Addresses::ipv6) add_docker_network(node, "k4t", subnet_of(node));
    });
  }
  for (std::size_t i = 0; i < options_.gateways.size(); ++i) {
    jobs.emplace_back([this, i] {
      Machine& gateway = lab_[numbered("gw", i)];
      const auto run = options_.gateways[i] == "nginx" ? run_nginx : run_haproxy;
      run(gateway, options_.gateway_user);
    });
  }
  make_bind_key(key_file());
  for (std::size_t i = 0; i < options_.dns.size(); ++i) {
    jobs.emplace_back([this, i] {
      Machine& server = lab_[numbered("ns", i)];
      if (options_.dns[i] == "bind") {
        run_bind(server, domain, key_file());
      } else {
        run_samba(server, domain, keytab(server.name()));
      }
    });
  }
  side_by_side(jobs);
  for (std::size_t i = 0; i < options_.nodes && options_.addresses == Addresses::ipv6; ++i) {
    lab_.route(subnet_of(lab_[numbered("n", i)]), lab_[numbered("n", i)]);
  }
}

std::string Cluster::configuration() {
  std::string text = std::string("[cluster]\nname = \"demo\"\ndomain = \"") + domain +
                     "\"\nstate = \"state\"\ndns_ttl = \"1s\"\n\n[plugins]\nfolders = [\"" + K4T_BINARY_DIR +
                     "/plugins\"]\n\n[ssh]\nidentity = [\"" + keys_.identity() + "\"]\nknown_hosts = \"" +
                     keys_.known_hosts() + "\"\nconnect_timeout = \"3s\"\n";
  const bool ipv6 = options_.addresses == Addresses::ipv6;
  const auto url = [&](const std::string& name) {
    const std::string user = name.starts_with("gw") ? options_.gateway_user : "root";
    const std::string address = lab_[name].address();
    return "ssh://" + user + "@" + (ipv6 ? "[" + address + "]" : address);
  };
  for (std::size_t i = 0; i < options_.nodes; ++i) {
    const std::string name = numbered("n", i);
    text += "\n[[node]]\nname = \"" + name + "\"\ndriver = \"docker\"\naddress = \"" + lab_[name].address() +
            "\"\noptions.host = \"" + url(name) + "\"\n";
    if (ipv6) text += "options.network = \"k4t\"\nsubnet = \"" + subnet_of(lab_[name]) + "\"\n";
  }
  for (std::size_t i = 0; i < options_.gateways.size(); ++i) {
    const std::string name = numbered("gw", i);
    text += "\n[[gateway]]\nname = \"" + name + "\"\ndriver = \"" + options_.gateways[i] + "\"\naddress = \"" +
            lab_[name].address() + "\"\noptions.host = \"" + url(name) + "\"\n";
    if (options_.gateways[i] == "haproxy") {
      text +=
          "options.config = [\"/etc/haproxy/haproxy.cfg\"]\noptions.file = \"/etc/haproxy/k4t/k4t.cfg\"\n"
          "options.master_socket = \"/run/haproxy-master.sock\"\n";
    } else if (options_.gateway_user != "root") {
      text += "options.binary = \"/usr/local/bin/k4t-nginx\"\n";
    }
  }
  for (std::size_t i = 0; i < options_.dns.size(); ++i) {
    const std::string name = numbered("ns", i);
    const bool bind = options_.dns[i] == "bind";
    text += "\n[[dns]]\nname = \"" + name + "\"\ndriver = \"" + (bind ? "bind" : "windows") + "\"\naddress = \"" +
            lab_[name].address() + "\"\n";
    if (bind) {
      text += "options.key_file = \"" + key_file().string() + "\"\n";
    } else {
      text += "options.host = \"" + name + "." + domain + "\"\noptions.principal = \"k4t\"\noptions.keytab = \"" +
              keytab(name).string() + "\"\n";
    }
  }
  // The order of the protocol: gateway hosts first, then nodes.
  std::vector<std::string> machines;
  for (std::size_t i = 0; i < options_.gateways.size(); ++i) machines.push_back(numbered("gw", i));
  for (std::size_t i = 0; i < options_.nodes && machines.size() < 3; ++i) machines.push_back(numbered("n", i));
  for (const auto& name : machines) {
    text += "\n[[witness]]\nid = \"w-" + name + "\"\nhost = \"" + url(name) + "\"\npath = \"/var/lib/k4t\"\n";
  }
  return text;
}

void Cluster::move_master(const std::string& name) {
  const std::string config =
      lab_[master_].powered() ? lab_[master_].read(std::string(folder) + "/k4t.toml") : std::string();
  master_ = name;
  master().write(std::string(folder) + "/k4t.toml", config.empty() ? configuration() : config);
  for (const auto& [service, text] : services_) master().write(service_file(service), text);
}

void Cluster::edit_config(const std::string& from, const std::string& to) {
  const std::string path = std::string(folder) + "/k4t.toml";
  master().write(path, replaced(master().read(path), from, to));
}

Cluster::Command Cluster::k4t(const std::vector<std::string>& arguments,
                              const std::map<std::string, std::string>& env) {
  std::vector<std::string> argv{"env", std::string("--chdir=") + folder};
  for (const auto& [name, value] : env) argv.push_back(name + "=" + value);
  for (const char* part : {"sh", "-c", "exec \"$@\" >out.txt 2>err.txt", "sh"}) argv.emplace_back(part);
  argv.push_back(program());
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto ran = master().run(argv, {}, std::chrono::minutes(5));
  return {ran.exit_code, master().read(std::string(folder) + "/out.txt"),
          master().read(std::string(folder) + "/err.txt")};
}

void Cluster::service(const std::string& name, const std::string& text) {
  services_[name] = text;
  master().write(service_file(name), text);
}

void Cluster::remove_service_file(const std::string& name) {
  services_.erase(name);
  std::filesystem::remove(master().at(service_file(name)));
}

void Cluster::web(unsigned replicas, const std::string& greeting) {
  service("web",
          "[[service]]\nname = \"web\"\nimage = \"app\"\nentrypoint = [\"/app\"]\ncommand = [\"http\"]\nreplicas = " +
              std::to_string(replicas) + "\nmemory = \"64MiB\"\nenv = { GREETING = \"" + greeting +
              "\" }\nstop_timeout = \"2s\"\ndrain_timeout = \"5s\"\n[[service.port]]\nname = \"http\"\nport = 8080\n"
              "[service.health]\nhttp = \"/healthz\"\ninterval = \"500ms\"\nrise = 1\ndeadline = \"30s\"\n"
              "[[service.expose]]\nlisten = 80\n");
}

std::string Cluster::ask(const std::string& address, std::uint16_t port, const std::string& name,
                         const std::string& expected) {
  std::string wrong;
  std::thread client([&] {
    lab_["client"].enter_network();
    wrong = wrong_with(get(address, port, name), expected);
  });
  client.join();
  return wrong;
}

std::set<std::string> Cluster::answering(const std::string& address, std::uint16_t port, const std::string& name,
                                         unsigned requests) {
  std::set<std::string> instances;
  std::thread client([&] {
    lab_["client"].enter_network();
    for (unsigned i = 0; i < requests; ++i) {
      const auto response = get(address, port, name);
      const auto wrong = wrong_with(response, "");
      instances.insert(wrong.empty() ? response->headers.at("x-instance") : wrong);
    }
  });
  client.join();
  return instances;
}

Clients Cluster::load(const std::string& name) {
  Clients clients;
  for (std::size_t i = 0; i < options_.gateways.size(); ++i) {
    for (const char* target : {"/", "/slow?ms=400"}) {
      clients.push_back(std::make_unique<Traffic>(
          asked_on(lab_["client"], [address = lab_[numbered("gw", i)].address(), name, target] {
            return wrong_with(get(address, 80, name, target), " from " + name);
          })));
    }
  }
  return clients;
}

std::unique_ptr<Traffic> Cluster::watch(const std::string& name, std::size_t at_least,
                                        const std::vector<std::string>& nodes) {
  std::vector<fs::path> sockets;
  for (const auto& node : nodes) sockets.push_back(docker_socket(lab_[node]));
  return std::make_unique<Traffic>(asked_on(lab_["client"], [sockets, name, at_least] {
    std::size_t healthy = 0;
    for (const auto& socket : sockets) healthy += count_healthy(socket, name);
    return healthy >= at_least ? std::string() : std::to_string(healthy) + " healthy instances";
  }));
}

std::vector<std::string> Cluster::resolve(const std::string& server, const std::string& name, const std::string& type) {
  const auto ran = lab_["client"].run(
      {"dig", "@" + lab_[server].address(), "+short", "+tries=1", "+time=2", name + "." + domain, type});
  std::istringstream in(ran.exit_code == 0 ? ran.out : std::string());
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

}  // namespace k4t::testing::lab
