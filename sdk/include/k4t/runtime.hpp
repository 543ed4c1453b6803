#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "k4t/plugin.hpp"

/// Runtimes: what runs instances on one node. What runs there is the truth; instances carry labels from which lost
/// metadata can be rebuilt.

namespace k4t::runtime {

/// Feature names for Manifest::capabilities.
namespace capability {
inline constexpr const char* images = "images";          ///< runs images; without it `command` names a program
inline constexpr const char* limits_cpu = "limits.cpu";  ///< enforces cpu_millis
inline constexpr const char* limits_memory = "limits.memory";
inline constexpr const char* limits_pids = "limits.pids";
inline constexpr const char* network_bridge = "network.bridge";  ///< publishes container ports on host ports
inline constexpr const char* dns_servers = "dns.servers";        ///< sets an instance's name servers
inline constexpr const char* exec = "exec";
inline constexpr const char* images_transfer =
    "images.transfer";  ///< lists, saves and loads images, without a registry
}  // namespace capability

/// The labels that every instance carries; the values are the words of the design.
namespace label {
inline constexpr const char* cluster = "k4t.cluster";
inline constexpr const char* service = "k4t.service";
inline constexpr const char* revision = "k4t.revision";
inline constexpr const char* instance = "k4t.instance";
inline constexpr const char* operation = "k4t.operation";
inline constexpr const char* ports = "k4t.ports";      ///< "http=20001,admin=20002": at which port each is reached
inline constexpr const char* address = "k4t.address";  ///< the instance's own; absent: it is reached at its node's
inline constexpr const char* declaration = "k4t.declaration";  ///< canonical JSON of the service's declaration
}  // namespace label

/// What the node has in all, used or not.
struct NodeInfo {
  std::uint32_t cpus = 0;
  std::uint64_t memory_bytes = 0;
  std::string architecture;           ///< as the kernel names it, e.g. "x86_64"
  std::string os;                     ///< for people
  std::string runtime_version;        ///< for people
  std::vector<std::string> warnings;  ///< what doctor should tell, e.g. limits that are not enforced here
  std::vector<std::string> subnets;   ///< "2001:db8:1::/64": from which instances can have addresses of their own
};
K4T_SDK_JSON(NodeInfo, cpus, memory_bytes, architecture, os, runtime_version, warnings, subnets)

/// What of the machine is in use now, by whomever. Absent: cannot be told from where the driver is.
struct NodeUsage {
  std::optional<double> load;                      ///< tasks that run or wait for a processor, over the last minute
  std::optional<std::uint64_t> memory_used_bytes;  ///< what a new program could not have
  std::optional<std::uint64_t> disk_used_bytes;    ///< of the file system that holds images and instances
  std::optional<std::uint64_t> disk_bytes;         ///< the same and what is still to be had there
  friend bool operator==(const NodeUsage&, const NodeUsage&) = default;
};
K4T_SDK_JSON(NodeUsage, load, memory_used_bytes, disk_used_bytes, disk_bytes)

struct ImageRequest {
  std::string image;
  bool refresh = false;  ///< ask the registry even if the image is there
};
K4T_SDK_JSON(ImageRequest, image, refresh)
struct ImageReply {
  std::string id;  ///< the runtime's content identifier
};
K4T_SDK_JSON(ImageReply, id)

/// An image as the runtime has it.
struct Image {
  std::string id;                   ///< as in ImageReply
  std::vector<std::string> names;   ///< with tags and with digests, sorted; none: only its id names it
  std::vector<std::string> layers;  ///< "sha256:" and the digest of each one's tar, uncompressed, the lowest first
  std::uint64_t size_bytes = 0;     ///< of all layers, as they lie there
};
K4T_SDK_JSON(Image, id, names, layers, size_bytes)

struct ImagesRequest {
  bool layers = false;  ///< tell the layers too, which takes longer
};
K4T_SDK_JSON(ImagesRequest, layers)
struct ImagesReply {
  std::vector<Image> images;  ///< sorted by id
  bool shares = false;        ///< the node can share images with others of the same driver, and load what they share
};
K4T_SDK_JSON(ImagesReply, images, shares)

struct SaveRequest {
  std::vector<std::string> images;  ///< by name or id
};
K4T_SDK_JSON(SaveRequest, images)

/// A part of a file.
struct Extent {
  std::uint64_t offset_bytes = 0;
  std::uint64_t bytes = 0;
  friend bool operator==(const Extent&, const Extent&) = default;
};
K4T_SDK_JSON(Extent, offset_bytes, bytes)

struct LoadLayer {
  std::string digest;     ///< see Image::layers
  Extent at;              ///< its tar, as it is or compressed with gzip
  bool left_out = false;  ///< the runtime has it on top of those below, so that it need not be sent
  friend bool operator==(const LoadLayer&, const LoadLayer&) = default;
};
K4T_SDK_JSON(LoadLayer, digest, at, left_out)

/// One image, in pieces of a file of the machine that the driver runs on. Bulk data never travels as JSON.
struct LoadRequest {
  std::string file;                ///< absolute; stays as it is during the call
  std::vector<std::string> names;  ///< what it is called there from then on; other images lose these names
  Extent config;                   ///< the image's configuration (OCI image specification)
  std::vector<LoadLayer> layers;   ///< the lowest first
  /// What ShareReply says of exactly this load: it comes from the node that shares it. A secret. Empty: from the file.
  std::string ticket{};
  friend bool operator==(const LoadRequest&, const LoadRequest&) = default;
};
K4T_SDK_JSON(LoadRequest, file, names, config, layers, ticket)
struct LoadReply {
  std::uint64_t sent_bytes = 0;  ///< that travelled to the node
};
K4T_SDK_JSON(LoadReply, sent_bytes)

struct ShareRequest {
  std::vector<LoadRequest> loads;  ///< of one file, without tickets
  std::uint32_t for_s = 0;         ///< after that it ends by itself
};
K4T_SDK_JSON(ShareRequest, loads, for_s)
struct ShareReply {
  std::string share;                 ///< names it to end_share
  std::vector<std::string> tickets;  ///< one for each load, understood by the same driver only; secrets
  std::uint64_t sent_bytes = 0;      ///< that travelled to the node
};
K4T_SDK_JSON(ShareReply, share, tickets, sent_bytes)
struct EndShareRequest {
  std::string share;
};
K4T_SDK_JSON(EndShareRequest, share)

struct PortMap {
  std::uint16_t container_port = 0;
  std::uint16_t host_port = 0;  ///< on the address that the node was opened with; equal to container_port with host and
                                ///< with an address of its own
  std::string protocol = "tcp";  ///< "tcp" or "udp"
  friend bool operator==(const PortMap&, const PortMap&) = default;
};
K4T_SDK_JSON(PortMap, container_port, host_port, protocol)

/// bridge: a network namespace of its own, ports published. host: the node's network; the instance must listen on the
/// ports that its environment names.
enum class Network { bridge, host };
K4T_SDK_JSON_ENUM(Network, {Network::bridge, "bridge"}, {Network::host, "host"})

/// on_failure: restarted with back-off when it exits with another status than 0. always: whenever it exits.
enum class Restart { always, on_failure, never };
K4T_SDK_JSON_ENUM(Restart, {Restart::always, "always"}, {Restart::on_failure, "on_failure"}, {Restart::never, "never"})

/// One instance to be made. Zero as a limit: none.
struct InstanceSpec {
  std::string name;  ///< unique on the node: "<cluster>-<service>-<instance>", [a-z0-9-], at most 63 characters
  std::string image;
  std::vector<std::string> entrypoint;  ///< empty: the image's
  std::vector<std::string> command;     ///< empty: the image's; without an image: program and arguments
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> labels;
  std::vector<PortMap> ports;
  Network network = Network::bridge;
  /// Bridge only: the instance's own IPv4 or IPv6 address, canonical, from one of NodeInfo::subnets; its ports are
  /// reached there and published nowhere. CONFLICT on start: somebody else has it. Empty: none.
  std::string address;
  std::vector<std::string> dns_servers;  ///< addresses; empty: the runtime's default
  std::vector<std::string> dns_search;
  std::uint32_t cpu_millis = 0;  ///< thousandths of a core
  std::uint64_t memory_bytes = 0;
  std::uint32_t pids = 0;
  std::string user;
  bool read_only = false;  ///< the root file system
  Restart restart = Restart::always;
  std::uint32_t stop_timeout_s = 10;  ///< between the polite signal and the kill
};
K4T_SDK_JSON(InstanceSpec, name, image, entrypoint, command, env, labels, ports, network, address, dns_servers,
             dns_search, cpu_millis, memory_bytes, pids, user, read_only, restart, stop_timeout_s)

/// created: made, never started. restarting: between two lives. exited: stopped or ended.
enum class Phase { unknown, created, running, restarting, exited };
K4T_SDK_JSON_ENUM(Phase, {Phase::unknown, "unknown"}, {Phase::created, "created"}, {Phase::running, "running"},
                  {Phase::restarting, "restarting"}, {Phase::exited, "exited"})

/// What the runtime itself says of an instance's health (Docker's HEALTHCHECK); none: it has no check.
enum class Health { none, starting, healthy, unhealthy };
K4T_SDK_JSON_ENUM(Health, {Health::none, "none"}, {Health::starting, "starting"}, {Health::healthy, "healthy"},
                  {Health::unhealthy, "unhealthy"})

/// One instance as it is.
struct Instance {
  std::string id;  ///< the runtime's
  std::string name;
  std::string image;
  std::map<std::string, std::string> labels;
  std::vector<PortMap> ports;
  Phase phase = Phase::unknown;
  Health health = Health::none;
  std::int32_t exit_code = 0;  ///< of the last life, where phase is exited or restarting
  std::uint32_t restarts = 0;
  std::int64_t started_at_s = 0;  ///< Unix time, 0: never
  std::uint32_t cpu_millis = 0;   ///< limits, 0: none
  std::uint64_t memory_bytes = 0;
  std::string detail;  ///< for people: why it ended, e.g. "out of memory"
  friend bool operator==(const Instance&, const Instance&) = default;
};
K4T_SDK_JSON(Instance, id, name, image, labels, ports, phase, health, exit_code, restarts, started_at_s, cpu_millis,
             memory_bytes, detail)

struct ListRequest {
  std::string cluster;  ///< only instances whose label k4t.cluster says so
};
K4T_SDK_JSON(ListRequest, cluster)
struct ListReply {
  std::vector<Instance> instances;  ///< of all phases, sorted by name
};
K4T_SDK_JSON(ListReply, instances)

/// Names one instance by its name.
struct InstanceRequest {
  std::string name;
};
K4T_SDK_JSON(InstanceRequest, name)

struct LogsRequest {
  std::string name;
  bool follow = false;
  std::uint32_t tail = 0;  ///< the last so many lines; 0: all
  bool timestamps = false;
};
K4T_SDK_JSON(LogsRequest, name, follow, tail, timestamps)

struct ExecRequest {
  std::string name;
  std::vector<std::string> command;
};
K4T_SDK_JSON(ExecRequest, name, command)
struct ExecReply {
  std::int32_t exit_code = 0;
};
K4T_SDK_JSON(ExecReply, exit_code)

namespace method {
struct Info {
  static constexpr const char* name = "info";
  using Request = Nothing;
  using Reply = NodeInfo;
};
struct Usage {
  static constexpr const char* name = "usage";
  using Request = Nothing;
  using Reply = NodeUsage;
};
struct EnsureImage {
  static constexpr const char* name = "ensure_image";
  using Request = ImageRequest;
  using Reply = ImageReply;
};
struct ListImages {
  static constexpr const char* name = "list_images";
  using Request = ImagesRequest;
  using Reply = ImagesReply;
};
struct SaveImages {
  static constexpr const char* name = "save_images";
  using Request = SaveRequest;
  using Reply = Nothing;
};
struct LoadImage {
  static constexpr const char* name = "load_image";
  using Request = LoadRequest;
  using Reply = LoadReply;
};
struct ShareImages {
  static constexpr const char* name = "share_images";
  using Request = ShareRequest;
  using Reply = ShareReply;
};
struct EndShare {
  static constexpr const char* name = "end_share";
  using Request = EndShareRequest;
  using Reply = Nothing;
};
struct List {
  static constexpr const char* name = "list";
  using Request = ListRequest;
  using Reply = ListReply;
};
struct Create {
  static constexpr const char* name = "create";
  using Request = InstanceSpec;
  using Reply = Instance;
};
struct Start {
  static constexpr const char* name = "start";
  using Request = InstanceRequest;
  using Reply = Instance;
};
struct Stop {
  static constexpr const char* name = "stop";
  using Request = InstanceRequest;
  using Reply = Nothing;
};
struct Remove {
  static constexpr const char* name = "remove";
  using Request = InstanceRequest;
  using Reply = Nothing;
};
struct Inspect {
  static constexpr const char* name = "inspect";
  using Request = InstanceRequest;
  using Reply = Instance;
};
struct Logs {
  static constexpr const char* name = "logs";
  using Request = LogsRequest;
  using Reply = Nothing;
};
struct Exec {
  static constexpr const char* name = "exec";
  using Request = ExecRequest;
  using Reply = ExecReply;
};
}  // namespace method

/// What an author implements; one object per node. All verbs are idempotent: creating an instance that exists with
/// the same name and labels returns it, with other labels is CONFLICT; starting one that runs, stopping one that does
/// not and removing one that is gone succeed.
class Driver {
 public:
  virtual ~Driver() = default;
  virtual Result<NodeInfo> info(Call& call) = 0;
  virtual Result<NodeUsage> usage(Call& /*call*/) { return NodeUsage{}; }
  /// Makes the image present. NOT_FOUND: neither here nor in its registry. Reports progress.
  virtual Result<ImageReply> ensure_image(const ImageRequest& request, Call& call) = 0;
  virtual Result<ListReply> list(const ListRequest& request, Call& call) = 0;
  virtual Result<Instance> create(const InstanceSpec& spec, Call& call) = 0;
  /// CONFLICT: a port is taken (the message says which).
  virtual Result<Instance> start(const InstanceRequest& request, Call& call) = 0;
  /// Politely, then by force after the instance's stop_timeout_s. It will not be restarted.
  virtual Result<Nothing> stop(const InstanceRequest& request, Call& call) = 0;
  /// Stops it where needed and deletes it with its anonymous volumes. Refuses (CONFLICT) what has no k4t.cluster label.
  virtual Result<Nothing> remove(const InstanceRequest& request, Call& call) = 0;
  virtual Result<Instance> inspect(const InstanceRequest& request, Call& call) = 0;
  /// Streams on both channels until the end, or until the caller gives up when following.
  virtual Result<Nothing> logs(const LogsRequest& request, Call& call) = 0;
  virtual Result<ExecReply> exec(const ExecRequest& /*request*/, Call& /*call*/) {
    return Error{Status::unsupported, "this runtime cannot run a command in an instance", {}};
  }

  // With the capability images.transfer:
  virtual Result<ImagesReply> list_images(const ImagesRequest& /*request*/, Call& /*call*/) {
    return Error{Status::unsupported, "this runtime does not tell its images", {}};
  }
  /// Streams, on Channel::out, a tar that holds the images: in the layout of `docker save`, or an OCI image layout.
  /// NOT_FOUND: one of them is not there.
  virtual Result<Nothing> save_images(const SaveRequest& /*request*/, Call& /*call*/) {
    return Error{Status::unsupported, "this runtime does not give its images away", {}};
  }
  /// Makes the image present under its names, whatever is there already. Reports progress, with the bytes that were
  /// sent. CONFLICT: a layer that was left out is not there after all. INVALID_ARGUMENT: what was given is no such
  /// image. UNSUPPORTED, with a ticket only: this node cannot get it from there, and why.
  virtual Result<LoadReply> load_image(const LoadRequest& /*request*/, Call& /*call*/) {
    return Error{Status::unsupported, "this runtime takes no images but from a registry", {}};
  }
  /// Brings what these loads send to this node, each piece once, and keeps it there for other nodes of the driver until
  /// end_share, or this program, or the time ends. Reports progress. UNSUPPORTED: it cannot be shared from here, and
  /// why.
  virtual Result<ShareReply> share_images(const ShareRequest& /*request*/, Call& /*call*/) {
    return Error{Status::unsupported, "this runtime shares no images", {}};
  }
  /// What still takes something from it may finish.
  virtual Result<Nothing> end_share(const EndShareRequest& /*request*/, Call& /*call*/) { return Nothing{}; }
};

struct Kind {
  static constexpr const char* name = "runtime";
  static constexpr const char* api = "runtime.v1";
  using Driver = runtime::Driver;

  static Result<Json> dispatch(Driver& driver, std::string_view method, std::string_view request, Call& call);
};
#if K4T_SDK_BODIES
K4T_SDK_INLINE Result<Json> Kind::dispatch(Driver& driver, std::string_view method, std::string_view request,
                                           Call& call) {
  return Dispatch(method, request)
      .on<method::Info>([&](const auto&) { return driver.info(call); })
      .on<method::Usage>([&](const auto&) { return driver.usage(call); })
      .on<method::EnsureImage>([&](const auto& in) { return driver.ensure_image(in, call); })
      .on<method::List>([&](const auto& in) { return driver.list(in, call); })
      .on<method::Create>([&](const auto& in) { return driver.create(in, call); })
      .on<method::Start>([&](const auto& in) { return driver.start(in, call); })
      .on<method::Stop>([&](const auto& in) { return driver.stop(in, call); })
      .on<method::Remove>([&](const auto& in) { return driver.remove(in, call); })
      .on<method::Inspect>([&](const auto& in) { return driver.inspect(in, call); })
      .on<method::Logs>([&](const auto& in) { return driver.logs(in, call); })
      .on<method::Exec>([&](const auto& in) { return driver.exec(in, call); })
      .on<method::ListImages>([&](const auto& in) { return driver.list_images(in, call); })
      .on<method::SaveImages>([&](const auto& in) { return driver.save_images(in, call); })
      .on<method::LoadImage>([&](const auto& in) { return driver.load_image(in, call); })
      .on<method::ShareImages>([&](const auto& in) { return driver.share_images(in, call); })
      .on<method::EndShare>([&](const auto& in) { return driver.end_share(in, call); })
      .outcome();
}
#endif

}  // namespace k4t::runtime
