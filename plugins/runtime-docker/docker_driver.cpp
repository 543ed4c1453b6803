#include "docker_driver.hpp"

#include <algorithm>
#include <utility>

#include "render.hpp"
#include "streams.hpp"
#include "usage.hpp"

namespace k4t::docker {
namespace {

using runtime::Instance;
using runtime::InstanceRequest;
using runtime::InstanceSpec;
using runtime::Phase;
namespace label = runtime::label;

constexpr std::int32_t unknown_exit_code = -1;  ///< of a command that was still running when its caller left

std::string container(const std::string& id, const char* what) { return "/containers/" + id + what; }

std::string label_of(const Instance& instance, const char* name) {
  const auto found = instance.labels.find(name);
  return found == instance.labels.end() ? std::string() : found->second;
}

bool is_stopped(const Instance& instance) {
  return instance.phase == Phase::created || instance.phase == Phase::exited;
}

}  // namespace

DockerDriver::DockerDriver(Options options) : options_(std::move(options)), engine_(options_.engine, options_.where) {}

Result<runtime::NodeInfo> DockerDriver::info(Call& call) {
  K4T_ASSIGN(const Json answer, engine_.get("/info", call));
  K4T_ASSIGN(auto info, node_info_of(answer));
  if (options_.exposed) {
    info.warnings.push_back(options_.where +
                            " is neither encrypted nor authenticated: whoever is on the network can be root on this "
                            "node; use options.tls or ssh://");
  }
  if (options_.reached.network.empty()) return info;
  auto subnets = read_subnets(call);
  if (subnets) {
    info.subnets = *std::move(subnets);
  } else {
    info.warnings.push_back(subnets.error().message);
  }
  return info;
}

Result<runtime::NodeUsage> DockerDriver::usage(Call& call) {
  // Behind a TCP port is another machine, about which nobody can be asked.
  if (options_.engine.unix_path.empty()) return runtime::NodeUsage{};
  K4T_ASSIGN(const Json answer, engine_.get("/info", call));
  return read_usage(*options_.engine.host, text_of(answer, "Name"), text_of(answer, "DockerRootDir"), call);
}

Result<std::vector<std::string>> DockerDriver::read_subnets(Call& call) {
  const std::string& name = options_.reached.network;
  K4T_ASSIGN(const auto answer, engine_.send("GET", "/networks/" + name, nullptr, call));
  if (answer.status == 200) return subnets_of(answer.body);
  if (answer.status != 404) return Engine::refusal("cannot look at the network " + name, answer);
  return Error{Status::invalid_argument,
               "the engine has no network '" + name + "', see options.network: `docker network create` makes one",
               {}};
}

Result<Json> DockerDriver::inspect_image(const std::string& image, Call& call) {
  K4T_ASSIGN(auto answer, engine_.send("GET", "/images/" + image + "/json", nullptr, call));
  if (answer.status != 200) return Engine::refusal("cannot look at image " + image, answer);
  return std::move(answer.body);
}

Result<std::string> DockerDriver::image_id(const std::string& image, Call& call) {
  K4T_ASSIGN(const Json inspected, inspect_image(image, call));
  auto id = text_of(inspected, "Id");
  if (id.empty()) {
    return Error{Status::unavailable, "the Docker Engine's answer about image " + image + " is not understood", {}};
  }
  return id;
}

Result<void> DockerDriver::pull(const std::string& image, Call& call) {
  K4T_ASSIGN(const ImageName name, parse_image(image));
  if (name.repository == "sha256") {
    return Error{Status::not_found, "image " + image + " is not on this node, and an identifier names no registry", {}};
  }
  ProgressReader reader("pull");
  const auto on_bytes = [&](std::string_view bytes) {
    reader.feed(bytes, [&](const Progress& progress) { call.progress(progress); });
    return true;
  };
  const auto path =
      "/images/create?fromImage=" + http::percent_encode(name.repository) + "&tag=" + http::percent_encode(name.tag);
  const Login* login = login_for(image, options_.registries);
  std::string auth;
  if (login != nullptr) {
    K4T_ASSIGN(auth, registry_auth(*login));
  }
  K4T_ASSIGN(const auto answer, engine_.send("POST", path, nullptr, call, on_bytes, auth));
  if (answer.status != 200) return pull_error(image, answer.status, answer.message(), login);
  if (reader.failure()) return pull_error(image, answer.status, *reader.failure(), login);
  return {};
}

Result<runtime::ImageReply> DockerDriver::ensure_image(const runtime::ImageRequest& request, Call& call) {
  K4T_TRY(parse_image(request.image));
  if (!request.refresh) {
    auto present = image_id(request.image, call);
    if (present) return runtime::ImageReply{*std::move(present)};
    if (present.status() != Status::not_found) return present.error();
  }
  K4T_TRY(pull(request.image, call));
  K4T_ASSIGN(auto id, image_id(request.image, call));
  return runtime::ImageReply{std::move(id)};
}

Result<runtime::ListReply> DockerDriver::list(const runtime::ListRequest& request, Call& call) {
  K4T_ASSIGN(const Json found, engine_.get("/containers/json?" + list_query(request.cluster), call));
  if (!found.is_array()) return Error{Status::unavailable, "the Docker Engine's answer is not understood", {}};
  runtime::ListReply reply;
  for (const Json& summary : found) {
    const auto id = text_of(summary, "Id");
    if (id.empty()) return Error{Status::unavailable, "the Docker Engine's answer is not understood", {}};
    auto instance = inspect_id(id, call);
    if (!instance && instance.status() == Status::not_found) continue;  // removed since the list was made
    if (!instance) return instance.error();
    if (label_of(*instance, label::cluster) == request.cluster) reply.instances.push_back(*std::move(instance));
  }
  std::sort(reply.instances.begin(), reply.instances.end(),
            [](const Instance& a, const Instance& b) { return a.name < b.name; });
  return reply;
}

Result<Instance> DockerDriver::inspect_id(const std::string& id, Call& call) {
  K4T_TRY(check_name(id));
  K4T_ASSIGN(const auto answer, engine_.send("GET", container(id, "/json"), nullptr, call));
  if (answer.status == 404) return Error{Status::not_found, "there is no instance " + id, {}};
  if (answer.status != 200) return Engine::refusal("cannot look at " + id, answer);
  return instance_of(answer.body);
}

Result<Instance> DockerDriver::inspect(const InstanceRequest& request, Call& call) {
  K4T_ASSIGN(auto instance, inspect_id(request.name, call));
  // The engine also finds containers by the beginning of their identifier.
  if (instance.name != request.name) return Error{Status::not_found, "there is no instance " + request.name, {}};
  return instance;
}

Result<Instance> DockerDriver::existing(const InstanceSpec& spec, Call& call) {
  auto present = inspect({spec.name}, call);
  if (!present && present.status() == Status::not_found) {
    return Error{Status::busy, spec.name + " is being removed by somebody else", {}};
  }
  if (!present || same_identity(*present, spec)) return present;
  return Error{Status::conflict, "a container " + spec.name + " exists on this node with other labels",
               Json(present->labels).dump()};
}

Result<Instance> DockerDriver::create(const InstanceSpec& spec, Call& call) {
  K4T_ASSIGN(const Json body, create_body(spec, options_.reached));
  K4T_ASSIGN(const auto answer, engine_.send("POST", "/containers/create?name=" + spec.name, body, call));
  if (answer.status == 409) return existing(spec, call);
  if (answer.status == 404) {
    if (!spec.address.empty()) K4T_TRY(read_subnets(call));
    return Error{Status::not_found, "image " + spec.image + " is not on this node", answer.message()};
  }
  if (answer.status != 201) return Engine::refusal("cannot create " + spec.name, answer);
  return inspect({spec.name}, call);
}

Result<Instance> DockerDriver::start(const InstanceRequest& request, Call& call) {
  K4T_ASSIGN(const Instance before, inspect(request, call));
  K4T_ASSIGN(const auto answer, engine_.send("POST", container(before.id, "/start"), nullptr, call));
  if (answer.status == 204 || answer.status == 304) return inspect_id(before.id, call);
  const std::string doing = "cannot start " + request.name;
  if (const auto port = taken_port(answer.message(), before.ports, options_.reached.address); !port.empty()) {
    return Error{Status::conflict, doing + ": port " + port + " is taken", answer.message()};
  }
  if (const auto own = label_of(before, label::address); !own.empty()) {
    if (address_is_taken(answer.message())) {
      return Error{Status::conflict, doing + ": somebody else has its address " + own, answer.message()};
    }
    K4T_TRY(read_subnets(call));
  }
  Error error = Engine::refusal(doing, answer);
  // A missing program inside the image is said with 404 by some versions; the instance itself is there.
  if (answer.status == 404 && inspect_id(before.id, call)) error.status = Status::invalid_argument;
  return error;
}

Result<Nothing> DockerDriver::stop_instance(const Instance& instance, Call& call) {
  K4T_ASSIGN(const auto answer, engine_.send("POST", container(instance.id, "/stop"), nullptr, call));
  if (answer.status == 204 || answer.status == 304) return Nothing{};
  return Engine::refusal("cannot stop " + instance.name, answer);
}

Result<Nothing> DockerDriver::stop(const InstanceRequest& request, Call& call) {
  K4T_ASSIGN(const Instance instance, inspect(request, call));
  return stop_instance(instance, call);
}

Result<void> DockerDriver::may_remove(const Instance& instance) const {
  const auto cluster = label_of(instance, label::cluster);
  if (cluster.empty()) {
    return Error{Status::conflict, "the container " + instance.name + " is not k4t's: it has no label k4t.cluster", {}};
  }
  if (cluster == options_.cluster) return {};
  return Error{Status::conflict, "the container " + instance.name + " belongs to the cluster " + cluster, {}};
}

Result<Nothing> DockerDriver::remove(const InstanceRequest& request, Call& call) {
  const auto found = inspect(request, call);
  if (!found && found.status() == Status::not_found) return Nothing{};
  if (!found) return found.error();
  K4T_TRY(may_remove(*found));
  if (!is_stopped(*found)) {
    const auto stopped = stop_instance(*found, call);
    if (!stopped && stopped.status() != Status::not_found) return stopped.error();
  }
  K4T_ASSIGN(const auto answer, engine_.send("DELETE", container(found->id, "?v=1&force=1"), nullptr, call));
  if (answer.status == 204 || answer.status == 404) return Nothing{};
  if (answer.status == 409)
    return Error{Status::busy, request.name + " is being removed by somebody else", answer.message()};
  return Engine::refusal("cannot remove " + request.name, answer);
}

Result<Engine::Answer> DockerDriver::stream_output(const std::string& method, const std::string& path, const Json& body,
                                                   Call& call) {
  FrameSplitter splitter;
  const auto pass_on = [&](Channel channel, std::string_view bytes) { return call.stream(channel, bytes); };
  K4T_ASSIGN(auto answer, engine_.send(method, path, body, call,
                                       [&](std::string_view bytes) { return splitter.feed(bytes, pass_on); }));
  if (splitter.malformed()) {
    return Error{
        Status::unsupported, "the output is not in frames: the container has a terminal, so it is not k4t's", {}};
  }
  return answer;
}

Result<Nothing> DockerDriver::logs(const runtime::LogsRequest& request, Call& call) {
  K4T_ASSIGN(const Instance instance, inspect({request.name}, call));
  const std::string query = std::string("/logs?stdout=1&stderr=1&follow=") + (request.follow ? "1" : "0") +
                            "&timestamps=" + (request.timestamps ? "1" : "0") +
                            "&tail=" + (request.tail == 0 ? "all" : std::to_string(request.tail));
  K4T_ASSIGN(const auto answer, stream_output("GET", container(instance.id, query.c_str()), nullptr, call));
  if (answer.status != 200) return Engine::refusal("cannot read the logs of " + request.name, answer);
  return Nothing{};
}

Result<runtime::ExecReply> DockerDriver::exec(const runtime::ExecRequest& request, Call& call) {
  if (request.command.empty()) return Error{Status::invalid_argument, "there is no command to run", {}};
  K4T_ASSIGN(const Instance instance, inspect({request.name}, call));
  const std::string doing = "cannot run a command in " + request.name;
  const Json wish{{"AttachStdout", true}, {"AttachStderr", true}, {"Cmd", request.command}};
  K4T_ASSIGN(const auto made, engine_.send("POST", container(instance.id, "/exec"), wish, call));
  if (made.status != 201) return Engine::refusal(doing, made);
  const auto id = text_of(made.body, "Id");
  K4T_TRY(check_name(id));
  const Json attached{{"Detach", false}, {"Tty", false}};
  K4T_ASSIGN(const auto ran, stream_output("POST", "/exec/" + id + "/start", attached, call));
  if (ran.status != 200) return Engine::refusal(doing, ran);
  K4T_ASSIGN(const Json ended, engine_.get("/exec/" + id + "/json", call));
  const auto code = ended.find("ExitCode");
  if (code != ended.end() && code->is_number_integer()) return runtime::ExecReply{code->get<std::int32_t>()};
  if (!ran.complete) return runtime::ExecReply{unknown_exit_code};
  return Error{Status::unavailable, doing + ": how it ended is not known", {}};
}

Manifest describe() {
  Manifest manifest;
  manifest.name = "docker";
  manifest.version = "0.1.0";
  manifest.summary = "Docker Engine 20.10 and later, through its API socket";
  namespace capability = runtime::capability;
  manifest.capabilities = {capability::images,      capability::limits_cpu,     capability::limits_memory,
                           capability::limits_pids, capability::network_bridge, capability::dns_servers,
                           capability::exec,        capability::images_transfer};
  manifest.concurrent = true;
  manifest.options_schema = options_schema();
  return manifest;
}

Result<std::unique_ptr<runtime::Driver>> open_driver(const OpenRequest& request, Call& /*call*/) {
  K4T_ASSIGN(Options options, parse_options(request));
  return std::unique_ptr<runtime::Driver>(std::make_unique<DockerDriver>(std::move(options)));
}

}  // namespace k4t::docker
