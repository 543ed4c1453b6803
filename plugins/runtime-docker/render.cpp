#include "render.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <set>
#include <stdexcept>
#include <utility>

#include "k4t/http.hpp"

namespace k4t::docker {
namespace {

using runtime::Health;
using runtime::Instance;
using runtime::InstanceSpec;
using runtime::Network;
using runtime::Phase;
using runtime::PortMap;
using runtime::Restart;

constexpr std::uint64_t nano_cpus_per_milli = 1'000'000;
constexpr std::size_t longest_name = 63;

Error refused(std::string message) { return Error{Status::invalid_argument, std::move(message), {}}; }

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_name_char(char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-'; }
bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

/// The member, or null where it is absent: the engine writes both for "none". Throws where this is no object at all.
const Json& member(const Json& object, const char* name) {
  static const Json null;
  if (!object.is_object() && !object.is_null()) throw std::invalid_argument("expected an object");
  const auto found = object.find(name);
  return found == object.end() ? null : *found;
}

template <class T>
T member_or(const Json& object, const char* name, T fallback) {
  const Json& found = member(object, name);
  return found.is_null() ? fallback : found.get<T>();
}

Result<void> check_spec(const InstanceSpec& spec) {
  if (spec.name.size() < 2 || spec.name.size() > longest_name || !is_lower_or_digit(spec.name.front()) ||
      !std::all_of(spec.name.begin(), spec.name.end(), [](char c) { return is_lower_or_digit(c) || c == '-'; })) {
    return refused("an instance's name must be 2 to 63 characters of a-z, 0-9 and -, and not begin with -");
  }
  for (const auto& [name, value] : spec.env) {
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value)) {
      return refused("\"" + name + "\" is not an environment variable's name, or its value contains a NUL byte");
    }
  }
  std::set<std::pair<std::string, std::uint16_t>> taken;
  for (const PortMap& port : spec.ports) {
    if (port.container_port == 0 || port.host_port == 0) return refused("port 0 cannot be published");
    if (port.protocol != "tcp" && port.protocol != "udp") {
      return refused("a port's protocol must be \"tcp\" or \"udp\", not \"" + port.protocol + "\"");
    }
    if (!taken.emplace(port.protocol, port.host_port).second) {
      return refused("host port " + std::to_string(port.host_port) + " is given twice");
    }
  }
  return {};
}

std::string container_port_key(const PortMap& port) {
  return std::to_string(port.container_port) + "/" + port.protocol;
}

/// An instance that was stopped must stay stopped when the engine restarts, which "always" does not promise.
const char* restart_policy(Restart restart) {
  switch (restart) {
    case Restart::always: return "unless-stopped";
    case Restart::on_failure: return "on-failure";
    case Restart::never: return "no";
  }
  return "no";
}

Json host_config(const InstanceSpec& spec, const Reached& reached) {
  Json bindings = Json::object();
  for (const PortMap& port : spec.ports) {
    if (!spec.address.empty()) break;
    bindings[container_port_key(port)].push_back(
        {{"HostIp", reached.address}, {"HostPort", std::to_string(port.host_port)}});
  }
  Json config{{"NetworkMode", spec.address.empty() ? std::string(to_string(spec.network)) : reached.network},
              {"PortBindings", std::move(bindings)},
              {"RestartPolicy", {{"Name", restart_policy(spec.restart)}}},
              {"LogConfig", {{"Type", "json-file"}, {"Config", {{"max-size", "10m"}, {"max-file", "3"}}}}}};
  if (spec.cpu_millis != 0) config["NanoCpus"] = spec.cpu_millis * nano_cpus_per_milli;
  if (spec.memory_bytes != 0) {
    config["Memory"] = spec.memory_bytes;
    config["MemorySwap"] = spec.memory_bytes;  // memory and swap together: without it as much swap again is allowed
  }
  if (spec.pids != 0) config["PidsLimit"] = spec.pids;
  if (spec.read_only) config["ReadonlyRootfs"] = true;
  if (!spec.dns_servers.empty()) config["Dns"] = spec.dns_servers;
  if (!spec.dns_search.empty()) config["DnsSearch"] = spec.dns_search;
  return config;
}

Json endpoint_config(const InstanceSpec& spec) {
  const char* family = spec.address.find(':') == std::string::npos ? "IPv4Address" : "IPv6Address";
  return {{"IPAMConfig", {{family, spec.address}}}};
}

/// "paused" and what later engines may invent are unknown: they neither serve nor have ended.
Phase phase_of(const std::string& status) {
  if (status == "created") return Phase::created;
  if (status == "running") return Phase::running;
  if (status == "restarting") return Phase::restarting;
  if (status == "exited" || status == "dead" || status == "removing") return Phase::exited;
  return Phase::unknown;
}

Health health_of(const Json& state) {
  const auto status = member_or<std::string>(member(state, "Health"), "Status", "none");
  if (status == "starting") return Health::starting;
  if (status == "healthy") return Health::healthy;
  return status == "unhealthy" ? Health::unhealthy : Health::none;
}

/// The exit code of a program that SIGKILL ended: 128 and the number of the signal.
constexpr std::int32_t killed = 128 + SIGKILL;

/// Why `instance` is as it is, its other fields being read. An instance that dies at its memory limit within moments
/// can be over before the engine hears of the limit (containerd issue 8180), so that a kill has two explanations.
std::string detail_of(const Json& state, const Instance& instance) {
  if (member_or(state, "OOMKilled", false)) return "out of memory: the kernel ended it at its memory limit";
  auto error = member_or<std::string>(state, "Error", "");
  if (!error.empty()) return error;
  if (instance.exit_code == killed && instance.memory_bytes != 0) {
    return "killed: out of memory at its limit, or ended from outside; the engine does not tell which";
  }
  const auto status = member_or<std::string>(state, "Status", "");
  return instance.phase == Phase::unknown || status == "dead" || status == "removing" ? status : "";
}

std::vector<PortMap> ports_of(const Json& bindings) {
  std::vector<PortMap> ports;
  for (const auto& [key, hosts] : bindings.items()) {
    const auto slash = key.find('/');
    if (hosts.is_null() || slash == std::string::npos) continue;
    for (const Json& host : hosts) {
      const int container_port = std::stoi(key.substr(0, slash));
      const int host_port = std::stoi("0" + member_or<std::string>(host, "HostPort", ""));
      ports.push_back(
          {static_cast<std::uint16_t>(container_port), static_cast<std::uint16_t>(host_port), key.substr(slash + 1)});
    }
  }
  return ports;
}

std::uint32_t cpu_millis_of(const Json& host) {
  const auto nano = member_or<std::uint64_t>(host, "NanoCpus", 0);
  if (nano != 0) return static_cast<std::uint32_t>(nano / nano_cpus_per_milli);
  const auto quota_us = member_or<std::int64_t>(host, "CpuQuota", 0);
  const auto period_us = member_or<std::int64_t>(host, "CpuPeriod", 0);
  return quota_us > 0 && period_us > 0 ? static_cast<std::uint32_t>(quota_us * 1000 / period_us) : 0;
}

Instance read_instance(const Json& inspected) {
  const Json& state = inspected.at("State");
  const Json& config = inspected.at("Config");
  const Json& host = inspected.at("HostConfig");
  Instance instance;
  instance.id = inspected.at("Id").get<std::string>();
  instance.name = inspected.at("Name").get<std::string>();
  if (instance.name.starts_with('/')) instance.name.erase(0, 1);
  instance.image = config.at("Image").get<std::string>();
  instance.labels = member_or(config, "Labels", instance.labels);
  instance.ports = ports_of(member(host, "PortBindings"));
  instance.phase = phase_of(state.at("Status").get<std::string>());
  instance.health = health_of(state);
  if (instance.phase == Phase::exited || instance.phase == Phase::restarting) {
    instance.exit_code = member_or<std::int32_t>(state, "ExitCode", 0);
  }
  instance.restarts = member_or<std::uint32_t>(inspected, "RestartCount", 0);
  instance.started_at_s = unix_time_s(member_or<std::string>(state, "StartedAt", ""));
  instance.cpu_millis = cpu_millis_of(host);
  instance.memory_bytes = member_or<std::uint64_t>(host, "Memory", 0);
  instance.detail = detail_of(state, instance);
  return instance;
}

/// Limits that the node's kernel cannot enforce, in words.
std::vector<std::string> warnings_of(const Json& info) {
  auto warnings = member_or(info, "Warnings", std::vector<std::string>{});
  if (!member_or(info, "MemoryLimit", true)) warnings.emplace_back("memory limits are not enforced on this node");
  if (!member_or(info, "CpuCfsQuota", true)) warnings.emplace_back("CPU limits are not enforced on this node");
  if (!member_or(info, "PidsLimit", true)) warnings.emplace_back("process limits are not enforced on this node");
  if (!member_or(info, "LiveRestoreEnabled", false)) {
    warnings.emplace_back(
        "live-restore is off: a restart of the Docker Engine restarts every instance; "
        "set \"live-restore\": true in /etc/docker/daemon.json");
  }
  return warnings;
}

runtime::NodeInfo read_node_info(const Json& info) {
  runtime::NodeInfo node;
  node.cpus = info.at("NCPU").get<std::uint32_t>();
  node.memory_bytes = info.at("MemTotal").get<std::uint64_t>();
  node.architecture = info.at("Architecture").get<std::string>();
  node.os = member_or<std::string>(info, "OperatingSystem", "");
  node.runtime_version = member_or<std::string>(info, "ServerVersion", "");
  node.warnings = warnings_of(info);
  return node;
}

/// Reads an answer with a function that throws where it has another shape than documented.
template <class Read>
auto understood(const Json& answer, Read&& read) -> Result<decltype(read(answer))> {
  try {
    return read(answer);
  } catch (const std::exception& error) {
    return Error{Status::unavailable, "the Docker Engine's answer is not understood", error.what()};
  }
}

}  // namespace

Result<Json> create_body(const InstanceSpec& spec, const Reached& reached) {
  K4T_TRY(check_spec(spec));
  if (!spec.address.empty() && (reached.network.empty() || spec.network != Network::bridge)) {
    return refused(reached.network.empty()
                       ? "the node has a 'subnet' and no options.network: name the engine's network "
                         "that has those addresses"
                       : "with host networking there is no address of its own");
  }
  K4T_TRY(parse_image(spec.image));
  Json env = Json::array();
  for (const auto& [name, value] : spec.env) env.push_back(name + "=" + value);
  // The engine publishes only ports that are also exposed.
  Json exposed = Json::object();
  for (const PortMap& port : spec.ports) exposed[container_port_key(port)] = Json::object();
  Json body{{"Image", spec.image},
            {"Env", std::move(env)},
            {"Labels", spec.labels},
            {"ExposedPorts", std::move(exposed)},
            {"StopTimeout", spec.stop_timeout_s},
            {"HostConfig", host_config(spec, reached)}};
  if (!spec.address.empty()) body["NetworkingConfig"]["EndpointsConfig"][reached.network] = endpoint_config(spec);
  if (!spec.entrypoint.empty()) body["Entrypoint"] = spec.entrypoint;
  if (!spec.command.empty()) body["Cmd"] = spec.command;
  if (!spec.user.empty()) body["User"] = spec.user;
  return body;
}

Result<Instance> instance_of(const Json& inspected) { return understood(inspected, read_instance); }

Result<runtime::NodeInfo> node_info_of(const Json& info) { return understood(info, read_node_info); }

Result<ImageName> parse_image(const std::string& reference) {
  const auto allowed = [](char c) { return is_name_char(c) || c == '/' || c == ':' || c == '@'; };
  if (reference.empty() || !is_name_char(reference.front()) || reference.front() == '-' ||
      reference.find("..") != std::string::npos || reference.find("//") != std::string::npos ||
      !std::all_of(reference.begin(), reference.end(), allowed)) {
    return refused("\"" + reference + "\" is not an image reference, e.g. \"registry.example.net/team/web:1.4\"");
  }
  const auto slash = reference.rfind('/');
  const auto colon = reference.find(':', slash == std::string::npos ? 0 : slash);
  if (const auto at = reference.find('@'); at != std::string::npos) {
    return ImageName{reference.substr(0, std::min(at, colon)), reference.substr(at + 1)};
  }
  if (colon == std::string::npos) return ImageName{reference, "latest"};
  return ImageName{reference.substr(0, colon), reference.substr(colon + 1)};
}

std::string list_query(const std::string& cluster) {
  const Json filters{{"label", {std::string(runtime::label::cluster) + "=" + cluster}}};
  return "all=1&filters=" + http::percent_encode(filters.dump());
}

Result<void> check_name(std::string_view name) {
  if (!name.empty() && name.front() != '.' && name.front() != '-' &&
      std::all_of(name.begin(), name.end(), is_name_char)) {
    return {};
  }
  return refused("\"" + std::string(name) + "\" cannot be an instance's name");
}

std::int64_t unix_time_s(const std::string& text) {
  std::tm time{};
  // NOLINTNEXTLINE(cert-err34-c): the widths leave no number that does not fit
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d", &time.tm_year, &time.tm_mon, &time.tm_mday, &time.tm_hour,
                  &time.tm_min, &time.tm_sec) != 6) {
    return 0;
  }
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  return std::max<std::int64_t>(::timegm(&time), 0);
}

bool same_identity(const Instance& present, const InstanceSpec& spec) {
  const auto carried = [&](const auto& label) {
    const auto found = present.labels.find(label.first);
    return found != present.labels.end() && found->second == label.second;
  };
  const auto wanted = [&](const auto& label) {
    return !label.first.starts_with("k4t.") || spec.labels.contains(label.first);
  };
  return present.name == spec.name && std::all_of(spec.labels.begin(), spec.labels.end(), carried) &&
         std::all_of(present.labels.begin(), present.labels.end(), wanted);
}

Result<std::vector<std::string>> subnets_of(const Json& network) {
  return understood(network, [](const Json& answer) {
    std::vector<std::string> subnets;
    const Json& configs = member(member(answer, "IPAM"), "Config");
    for (const Json& config : configs.is_null() ? Json::array() : configs) {
      subnets.push_back(config.at("Subnet").get<std::string>());
    }
    return subnets;
  });
}

bool address_is_taken(const std::string& refusal) {
  return refusal.find("Address already in use") != std::string::npos;
}

std::string taken_port(const std::string& refusal, const std::vector<PortMap>& ports, const std::string& address) {
  if (refusal.find("port is already allocated") == std::string::npos &&
      refusal.find("address already in use") == std::string::npos) {
    return {};
  }
  std::string all;
  for (const PortMap& port : ports) {
    const std::string number = ":" + std::to_string(port.host_port);
    const auto found = refusal.find(number);
    const auto after = found + number.size();
    const bool whole =
        found != std::string::npos && (after == refusal.size() || refusal[after] < '0' || refusal[after] > '9');
    if (whole) return address + number;
    all += (all.empty() ? "" : ", ") + address + number;
  }
  return all;
}

}  // namespace k4t::docker
