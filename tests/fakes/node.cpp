#include "fakes/node.hpp"

namespace k4t::fakes {
namespace {

Error no_such(const std::string& name) { return {Status::not_found, "there is no instance '" + name + "'", {}}; }

}  // namespace

Result<runtime::NodeInfo> Node::info(Call& call) {
  return faults.serve("info", call, [&]() -> Result<runtime::NodeInfo> {
    return runtime::NodeInfo{4, memory_bytes, "x86_64", "fake", "1", {}, {}};
  });
}

Result<runtime::NodeUsage> Node::usage(Call& call) {
  return faults.serve("usage", call, [&]() -> Result<runtime::NodeUsage> {
    const std::scoped_lock lock(mutex_);
    return in_use;
  });
}

Result<runtime::ImageReply> Node::ensure_image(const runtime::ImageRequest& request, Call& call) {
  return faults.serve("ensure_image", call,
                      [&]() -> Result<runtime::ImageReply> { return runtime::ImageReply{request.image}; });
}

Result<runtime::ImagesReply> Node::list_images(const runtime::ImagesRequest& /*request*/, Call& call) {
  return faults.serve("list_images", call, [&]() -> Result<runtime::ImagesReply> {
    const std::scoped_lock lock(mutex_);
    return runtime::ImagesReply{images, shares};
  });
}

Result<Nothing> Node::save_images(const runtime::SaveRequest& /*request*/, Call& call) {
  return faults.serve("save_images", call, [&]() -> Result<Nothing> {
    static_cast<void>(call.stream(Channel::out, saved_archive));
    return Nothing{};
  });
}

Result<runtime::LoadReply> Node::load_image(const runtime::LoadRequest& request, Call& call) {
  return faults.serve("load_image", call, [&]() -> Result<runtime::LoadReply> {
    const std::scoped_lock lock(mutex_);
    loads.push_back(request);
    std::uint64_t sent_bytes = request.config.bytes;
    for (const auto& layer : request.layers) {
      if (layer.left_out && wants_all_layers) return Error{Status::conflict, "a layer is missing", {}};
      if (!layer.left_out) sent_bytes += layer.at.bytes;
    }
    return runtime::LoadReply{sent_bytes};
  });
}

Result<runtime::ShareReply> Node::share_images(const runtime::ShareRequest& request, Call& call) {
  return faults.serve("share_images", call, [&]() -> Result<runtime::ShareReply> {
    const std::scoped_lock lock(mutex_);
    shared.push_back(request);
    runtime::ShareReply reply;
    reply.share = std::to_string(shared.size());
    for (std::size_t load = 0; load < request.loads.size() && !forgets_tickets; ++load)
      reply.tickets.push_back("load " + std::to_string(load));
    open_shares.insert(reply.share);
    return reply;
  });
}

Result<Nothing> Node::end_share(const runtime::EndShareRequest& request, Call& call) {
  return faults.serve("end_share", call, [&]() -> Result<Nothing> {
    const std::scoped_lock lock(mutex_);
    open_shares.erase(request.share);
    return Nothing{};
  });
}

Result<runtime::ListReply> Node::list(const runtime::ListRequest& request, Call& call) {
  return faults.serve("list", call, [&]() -> Result<runtime::ListReply> {
    const std::scoped_lock lock(mutex_);
    runtime::ListReply reply;
    for (const auto& [name, instance] : instances) {
      const auto label = instance.labels.find(runtime::label::cluster);
      if (label != instance.labels.end() && label->second == request.cluster) reply.instances.push_back(instance);
    }
    return reply;
  });
}

Result<runtime::Instance> Node::create(const runtime::InstanceSpec& spec, Call& call) {
  return faults.serve("create", call, [&]() -> Result<runtime::Instance> {
    const std::scoped_lock lock(mutex_);
    if (const auto found = instances.find(spec.name); found != instances.end()) {
      if (found->second.labels == spec.labels) return found->second;
      return Error{Status::conflict, "the name is taken", {}};
    }
    runtime::Instance made;
    made.id = made.name = spec.name;
    made.image = spec.image;
    made.labels = spec.labels;
    made.ports = spec.ports;
    made.cpu_millis = spec.cpu_millis;
    made.memory_bytes = spec.memory_bytes;
    made.phase = runtime::Phase::created;
    instances[spec.name] = made;
    changed_();
    return made;
  });
}

Result<runtime::Instance> Node::start(const runtime::InstanceRequest& request, Call& call) {
  return faults.serve("start", call, [&]() -> Result<runtime::Instance> {
    const std::scoped_lock lock(mutex_);
    const auto found = instances.find(request.name);
    if (found == instances.end()) return no_such(request.name);
    runtime::Instance& instance = found->second;
    for (const auto& port : instance.ports) {
      if (squatted.contains(port.host_port)) {
        return Error{Status::conflict, "port " + std::to_string(port.host_port) + " is taken", {}};
      }
    }
    instance.phase = runtime::Phase::running;
    instance.started_at_s = 1;
    if (images_that_never_run.contains(instance.image)) instance.phase = runtime::Phase::exited;
    changed_();
    return instance;
  });
}

Result<Nothing> Node::stop(const runtime::InstanceRequest& request, Call& call) {
  return faults.serve("stop", call, [&]() -> Result<Nothing> {
    const std::scoped_lock lock(mutex_);
    const auto found = instances.find(request.name);
    if (found == instances.end()) return no_such(request.name);
    found->second.phase = runtime::Phase::exited;
    changed_();
    return Nothing{};
  });
}

Result<Nothing> Node::remove(const runtime::InstanceRequest& request, Call& call) {
  return faults.serve("remove", call, [&]() -> Result<Nothing> {
    const std::scoped_lock lock(mutex_);
    const auto found = instances.find(request.name);
    if (found == instances.end()) return Nothing{};
    if (!found->second.labels.contains(runtime::label::cluster)) {
      return Error{Status::conflict, "'" + request.name + "' is not k4t's", {}};
    }
    instances.erase(found);
    changed_();
    return Nothing{};
  });
}

Result<runtime::Instance> Node::inspect(const runtime::InstanceRequest& request, Call& call) {
  return faults.serve("inspect", call, [&]() -> Result<runtime::Instance> {
    const std::scoped_lock lock(mutex_);
    const auto found = instances.find(request.name);
    return found == instances.end() ? Result<runtime::Instance>(no_such(request.name)) : found->second;
  });
}

Result<Nothing> Node::logs(const runtime::LogsRequest& request, Call& call) {
  return faults.serve("logs", call, [&]() -> Result<Nothing> {
    static_cast<void>(call.stream(Channel::out, request.name + " says goodbye\n"));
    return Nothing{};
  });
}

}  // namespace k4t::fakes
