#include "config/service_file.hpp"

#include "config/table.hpp"

namespace k4t::config {
namespace {

constexpr std::uint32_t replicas_limit = 1000;
constexpr std::size_t services_limit = 1000;
constexpr std::size_t ports_limit = 32;
constexpr std::size_t exposes_limit = 64;
constexpr std::size_t arguments_limit = 256;
constexpr std::size_t txt_records_limit = 90;    // BIND serves 100 records per name and type
constexpr std::size_t dns_servers_limit = 3;     // of glibc's resolver
constexpr std::uint32_t pids_limit = 4'194'304;  // Linux's own
constexpr std::uint32_t rate_limit_most = 1'000'000;
constexpr std::uint32_t hour_s = 3600;
constexpr std::uint32_t hour_ms = 3'600'000;

struct ServiceFileKeys {
  std::vector<model::Service> services;
};

const Table<model::ServicePort>& port_table() {
  static const auto table = [] {
    Table<model::ServicePort> keys("[[service.port]]", "A port on which the service's instances listen");
    keys.key("name", port_name(), Need::required, &model::ServicePort::name,
             "Other keys refer to it; instances find its number in PORT_<NAME>, the first one's also in PORT")
        .key("port", port(), Need::absent, &model::ServicePort::port,
             "The port in the container; with host networking it may be left out, then k4t chooses");
    return keys;
  }();
  return table;
}

const Table<model::ServiceHealth>& health_table() {
  using Health = model::ServiceHealth;
  static const auto table = [] {
    Table<Health> keys("[service.health]", "When an instance counts as healthy: before that it gets no traffic");
    const auto store_http = [](Health& health, const std::string& path) {
      health.check.protocol = gateway::Protocol::http;
      health.check.path = path;
    };
    const auto store_tcp = [](Health& health, bool) { health.check.protocol = gateway::Protocol::tcp; };
    keys.key("port", port_name(), Need::absent, &Health::port, "The port to ask; without it the service's first one")
        .row("http", request_path(), Need::absent, {}, store_http,
             "Healthy when a GET of this path is answered with 200 to 399; either this or tcp")
        .row("tcp", yes_or_no(), Need::absent, {}, store_tcp,
             "Healthy when the port accepts connections; either this or http")
        .key(
            "interval", milliseconds(100, hour_ms), Need::optional,
            [](Health & health) -> auto& { return health.check.interval_ms; }, "Between two checks")
        .key(
            "timeout", milliseconds(10, hour_ms), Need::optional,
            [](Health & health) -> auto& { return health.check.timeout_ms; }, "No answer for so long is a failure")
        .key(
            "rise", whole(1, 100), Need::optional, [](Health & health) -> auto& { return health.check.rise; },
            "Successes in a row that make it healthy again")
        .key(
            "fall", whole(1, 100), Need::optional, [](Health & health) -> auto& { return health.check.fall; },
            "Failures in a row that take it out")
        .key("deadline", seconds(1, day_s), Need::optional, &Health::deadline_s,
             "A new instance that is not healthy by then fails the change");
    return keys;
  }();
  return table;
}

const Table<gateway::RateLimit>& rate_limit_table() {
  static const auto table = [] {
    Table<gateway::RateLimit> keys("rate_limit", "Per client address, on each gateway by itself");
    keys.key("per_second", whole(1, rate_limit_most), Need::required, &gateway::RateLimit::per_second,
             "HTTP requests, or new TCP connections, per second")
        .key("burst", whole(0, rate_limit_most), Need::optional, &gateway::RateLimit::burst,
             "How many may come at once beyond the rate");
    return keys;
  }();
  return table;
}

const Table<model::Expose>& expose_table() {
  using model::Expose;
  static const auto table = [] {
    Table<Expose> keys("[[service.expose]]", "How a port is reached through the gateways");
    const auto store_limit = [](Expose& expose, std::uint32_t at_once) {
      expose.connection_limit = gateway::ConnectionLimit{at_once};
    };
    keys.key("port", port_name(), Need::absent, &Expose::port, "The port; without it the service's first one")
        .key("protocol", choice<gateway::Protocol>(), Need::optional, &Expose::protocol, "What clients speak")
        .key("listen", port(), Need::required, &Expose::listen,
             "The gateways' port; HTTP services may share one, told apart by host and path")
        .key("host", host_or_any(), Need::absent, &Expose::host,
             "HTTP: the Host that requests name; without it <service>.<domain>")
        .key("path", route_path(), Need::optional, &Expose::path,
             "HTTP: the prefix, in whole segments, of requests to take; the longest one wins")
        .key("balance", choice<gateway::Balance>(), Need::optional, &Expose::balance, "How an instance is chosen")
        .key("connect_timeout", milliseconds(1, hour_ms), Need::optional, &Expose::connect_timeout_ms,
             "An instance that does not accept for so long is passed over")
        .key("idle_timeout", milliseconds(1, 24 * hour_ms), Need::optional, &Expose::idle_timeout_ms,
             "A connection without a byte for so long is closed, WebSockets and TCP too")
        .key("rate_limit", rate_limit_table().form(), Need::absent, &Expose::rate_limit,
             "Requests beyond it are answered 429, TCP connections closed")
        .row("connections_per_client", whole(1, rate_limit_most), Need::absent, {}, store_limit,
             "At the same time, per client address, on each gateway by itself");
    return keys;
  }();
  return table;
}

void add_instance_keys(Table<model::Service>& keys) {
  using model::Service;
  const auto arguments = list_of(free_text(Lines::many, text_limit_bytes), 0, arguments_limit);
  keys.key("image", image(), Need::absent, &Service::image,
           "What instances are made of; runtimes without images run 'command' instead")
      .key("entrypoint", arguments, Need::absent, &Service::entrypoint, "Replaces the image's entry point")
      .key("command", arguments, Need::absent, &Service::command,
           "Replaces the image's command; no shell reads it and no variable is expanded")
      .key("env", text_map("a variable", parse_env_name, free_text(Lines::many, text_limit_bytes)), Need::absent,
           &Service::env, "Environment variables, passed on literally")
      .key("port", port_table().forms(0, ports_limit), Need::absent, &Service::ports,
           "The ports on which instances listen")
      .key("network", choice<runtime::Network>(), Need::optional, &Service::network,
           "bridge: a network of its own, ports published; host: the node's")
      .key("cpu", cpu(), Need::absent, &Service::cpu_millis, "Limit and reservation of each instance")
      .key("memory", memory(), Need::absent, &Service::memory_bytes, "Limit and reservation of each instance")
      .key("pids", whole(1, pids_limit), Need::absent, &Service::pids,
           "Limit of processes and threads of each instance")
      .key("user", user(), Need::absent, &Service::user, "Runs as this user instead of the image's")
      .key("read_only", yes_or_no(), Need::optional, &Service::read_only, "Whether the root file system is read-only")
      .key("restart", choice<runtime::Restart>(), Need::optional, &Service::restart,
           "What the node does, by itself, when an instance exits")
      .key("stop_timeout", seconds(0, hour_s), Need::optional, &Service::stop_timeout_s,
           "Between the polite signal and the kill")
      .key("dns_servers", list_of(address(), 1, dns_servers_limit), Need::absent, &Service::dns_servers,
           "What instances ask for names; without it what their node asks");
}

const Table<model::Service>& service_table() {
  using model::Service;
  static const auto table = [] {
    Table<Service> keys("[[service]]", "A service: so many equal instances of one image");
    keys.key("name", name(service_name_limit), Need::required, &Service::name,
             "Unique in the cluster; <name>.<domain> in DNS")
        .key("replicas", whole(0, replicas_limit), Need::optional, &Service::replicas, "How many instances");
    add_instance_keys(keys);
    keys.key("node_labels", text_map("a label", parse_label_key, free_text(Lines::one, 255)), Need::absent,
             &Service::node_labels, "Only nodes that have all of these labels")
        .key("txt", list_of(free_text(Lines::one, txt_limit_bytes), 0, txt_records_limit), Need::absent, &Service::txt,
             "TXT records at the service's name")
        .key("drain_timeout", seconds(0, day_s), Need::optional, &Service::drain_timeout_s,
             "How long an instance that is to go may keep its connections")
        .row(
            "reach", choice<model::Reach>(), Need::absent, Json(),
            [](Service& service, model::Reach reach) { service.reach = reach; },
            "Where DNS leads those who ask for it, to the gateways or to its healthy instances themselves; without it "
            "as [cluster] says")
        .key("health", health_table().form(), Need::absent, &Service::health, "When an instance counts as healthy")
        .key("expose", expose_table().forms(0, exposes_limit), Need::absent, &Service::expose,
             "How ports are reached through the gateways");
    return keys;
  }();
  return table;
}

const Table<ServiceFileKeys>& service_file_table() {
  static const auto table = [] {
    Table<ServiceFileKeys> keys("a service file", "Services of a k4t cluster");
    keys.key("service", service_table().forms(1, services_limit), Need::required, &ServiceFileKeys::services,
             "The services");
    return keys;
  }();
  return table;
}

/// Checks one service by itself and fills in what its keys imply.
class Finish {
 public:
  Finish(model::Service& service, const Value& value, Report& report)
      : service_(service), value_(value), report_(report) {}

  void run() {
    if (value_.find("image") == nullptr && value_.find("command") == nullptr) {
      report_.error(value_, id::missing_key, "[[service]] has neither 'image' nor 'command'",
                    "add the 'image' that instances are made of");
    }
    finish_ports();
    finish_env();
    finish_health();
    for (std::size_t i = 0; i < service_.expose.size(); ++i) {
      finish_expose(service_.expose[i], value_.find("expose")->items[i]);
    }
  }

 private:
  void finish_ports() {
    const Value* ports = value_.find("port");
    for (std::size_t i = 0; i < service_.ports.size(); ++i) {
      const Value& table = ports->items[i];
      if (table.find("port") == nullptr && table.kind == ValueKind::table &&
          service_.network != runtime::Network::host) {
        report_.error(table, id::missing_key, "[[service.port]] has no 'port'",
                      "add 'port', the port in the container, or network = \"host\" to the service");
      }
      for (std::size_t j = 0; j < i && !service_.ports[i].name.empty(); ++j) {
        if (service_.ports[i].name != service_.ports[j].name) continue;
        report_.error(part(table, "name"), id::name_used_twice,
                      "port " + in_quotes(service_.ports[i].name) + " is already declared at line " +
                          std::to_string(ports->items[j].at.line),
                      "give each its own 'name'");
        break;
      }
    }
  }

  void finish_env() {
    const Value* env = value_.find("env");
    if (env == nullptr || service_.ports.empty()) return;
    for (const auto& item : env->items) {
      if (item.key != "PORT" && !item.key.starts_with("PORT_")) continue;
      report_.error_at_key(
          item, id::reserved_name,
          in_quotes(item.key) + " cannot be a variable: k4t sets PORT and PORT_<NAME> from the service's ports",
          "remove it, or choose another name");
    }
  }

  void finish_health() {
    const Value* table = value_.find("health");
    if (table == nullptr || !service_.health) return;
    const Value* http = table->find("http");
    const Value* tcp = table->find("tcp");
    if (http == nullptr && tcp == nullptr) {
      report_.error(*table, id::missing_key, "[service.health] has neither 'http' nor 'tcp'",
                    "add http = \"/PATH\" or tcp = true");
    } else if (http != nullptr && tcp != nullptr) {
      report_.error_at_key(*tcp, id::keys_exclude, "'http' and 'tcp' exclude each other", "remove one of them");
    } else if (tcp != nullptr && tcp->kind == ValueKind::boolean && !tcp->boolean) {
      report_.error(*tcp, id::impossible_value, "'tcp' is false", "write tcp = true, or http = \"/PATH\"");
    }
    finish_port_name(service_.health->port, *table);
  }

  void finish_expose(model::Expose& expose, const Value& table) {
    if (table.kind != ValueKind::table) return;
    if (expose.protocol == gateway::Protocol::tcp) {
      for (const char* key : {"host", "path"}) {
        const Value* value = table.find(key);
        if (value == nullptr) continue;
        report_.error_at_key(*value, id::keys_exclude, "'" + std::string(key) + "' means nothing with protocol \"tcp\"",
                             "remove it, or write protocol = \"http\"");
      }
    }
    finish_port_name(expose.port, table);
  }

  /// Makes an absent name that of the first port; a given one must be a port's.
  void finish_port_name(std::string& port_name, const Value& table) {
    const Value* ports = value_.find("port");
    // Where the ports themselves are wrong, a name that fits none of them says nothing.
    if (ports != nullptr && !report_.sound(*ports)) return;
    const Value* given = table.find("port");
    if (given != nullptr && !report_.sound(*given)) return;
    if (service_.ports.empty()) {
      report_.error(given == nullptr ? table : *given, id::dangling_name, "the service has no port",
                    "add [[service.port]] with 'name' and 'port'");
      return;
    }
    if (given == nullptr) port_name = service_.ports.front().name;
    std::vector<std::string> names;
    for (const auto& port : service_.ports) names.push_back(port.name);
    if (std::find(names.begin(), names.end(), port_name) != names.end()) return;
    const auto meant = nearest(port_name, names);
    report_.error(*given, id::dangling_name, "the service has no port " + in_quotes(port_name),
                  "did you mean '" + meant.value_or(names.front()) + "'?");
  }

  model::Service& service_;
  const Value& value_;
  Report& report_;
};

}  // namespace

std::vector<Declared> read_services(const Value& root, Report& report) {
  ServiceFileKeys file;
  service_file_table().read(root, file, report);
  std::vector<Declared> declared;
  for (std::size_t i = 0; i < file.services.size(); ++i) {
    const Value& value = root.find("service")->items[i];
    if (value.kind != ValueKind::table) continue;
    Finish(file.services[i], value, report).run();
    declared.push_back({std::move(file.services[i]), &value, &report});
  }
  return declared;
}

Json service_schema() {
  Json schema = service_file_table().schema();
  schema["$schema"] = "http://json-schema.org/draft-07/schema#";
  schema["title"] = "k4t service file";
  return schema;
}

}  // namespace k4t::config
