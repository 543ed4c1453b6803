#include <algorithm>

#include "docker_driver.hpp"
#include "load_archive.hpp"
#include "render.hpp"
#include "share.hpp"
#include "streams.hpp"
#include "transfer.hpp"

/// Images without a registry: what is there, out of the engine, into it, from node to node.

namespace k4t::docker {
namespace {

/// Whether commands run where the engine is, and others reach it as k4t does.
bool is_over_ssh(const Options& options) {
  return !options.engine.unix_path.empty() && options.engine.host->name() != transport::local_host()->name();
}

}  // namespace

Result<runtime::ImagesReply> DockerDriver::list_images(const runtime::ImagesRequest& request, Call& call) {
  K4T_ASSIGN(const Json found, engine_.get("/images/json", call));
  if (!found.is_array()) return Error{Status::unavailable, "the Docker Engine's answer is not understood", {}};
  runtime::ImagesReply reply;
  reply.shares = is_over_ssh(options_);
  for (const Json& summary : found) {
    Json inspected;
    if (request.layers) {
      const auto id = text_of(summary, "Id");
      K4T_ASSIGN(auto answer, engine_.send("GET", "/images/" + http::percent_encode(id) + "/json", nullptr, call));
      if (answer.status == 404) continue;  // removed since the list was made
      if (answer.status != 200) return Engine::refusal("cannot look at image " + id, answer);
      inspected = std::move(answer.body);
    }
    K4T_ASSIGN(auto image, image_of(summary, inspected));
    reply.images.push_back(std::move(image));
  }
  std::sort(reply.images.begin(), reply.images.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return reply;
}

Result<Nothing> DockerDriver::save_images(const runtime::SaveRequest& request, Call& call) {
  std::string query;
  std::uint64_t total = 0;  // about, because images share layers
  for (const auto& image : request.images) {
    K4T_TRY(parse_image(image));
    // An export of several does not say which one is missing.
    const auto present = inspect_image(image, call);
    if (present.status() == Status::not_found) {
      return Error{Status::not_found, "image " + image + " is not on the Docker Engine at " + options_.where, {}};
    }
    if (!present) return present.error();
    K4T_ASSIGN(const auto known, image_of(*present, nullptr));
    total += known.size_bytes;
    query += (query.empty() ? "?names=" : "&names=") + http::percent_encode(image);
  }
  ByteProgress progress(call, "fetching", total);
  const auto pass_on = [&](std::string_view bytes) {
    progress.add(bytes.size());
    return call.stream(Channel::out, bytes);
  };
  K4T_ASSIGN(const auto answer, engine_.send("GET", "/images/get" + query, nullptr, call, pass_on));
  if (answer.status != 200) return Engine::refusal("cannot save images", answer);
  return Nothing{};
}

Result<runtime::LoadReply> DockerDriver::load_image(const runtime::LoadRequest& request, Call& call) {
  if (!request.ticket.empty()) return load_shared(request, call);
  K4T_ASSIGN(auto segments, load_archive(request));
  const std::uint64_t total = size_bytes(segments);
  K4T_ASSIGN(auto reader, SegmentReader::open(request.file, std::move(segments)));
  ByteProgress progress(call, "sending", total);
  const auto next = [&](std::size_t limit_bytes) {
    auto piece = reader.next(limit_bytes);
    if (piece) progress.add(piece->size());
    return piece;
  };
  ProgressReader said("loading");
  const auto on_bytes = [&](std::string_view bytes) {
    said.feed(bytes, [&](const Progress& one) { call.progress(one); });
    return true;
  };
  K4T_ASSIGN(const auto answer, engine_.load({total, next}, call, on_bytes));
  if (answer.status != 200) return load_error(request, answer.message());
  if (said.failure()) return load_error(request, *said.failure());
  return runtime::LoadReply{total};
}

Result<runtime::LoadReply> DockerDriver::load_shared(const runtime::LoadRequest& request, Call& call) {
  if (!is_over_ssh(options_)) return Error{Status::unsupported, "this node runs no commands for k4t", {}};
  const Json written = Json::parse(request.ticket, nullptr, /*allow_exceptions=*/false);
  if (written.is_discarded()) return Error{Status::invalid_argument, "the ticket is no ticket of this driver", {}};
  K4T_ASSIGN(const auto ticket, decode<Ticket>(written));
  K4T_ASSIGN(const auto sent_bytes,
             take_shared(*options_.engine.host, options_.engine.unix_path, request, ticket, call));
  return runtime::LoadReply{sent_bytes};
}

Result<runtime::ShareReply> DockerDriver::share_images(const runtime::ShareRequest& request, Call& call) {
  if (!is_over_ssh(options_)) return Error{Status::unsupported, "it is not reached over SSH", {}};
  if (request.loads.empty()) return Error{Status::invalid_argument, "there is nothing to share", {}};
  const auto spool = spool_of(request.loads);
  K4T_ASSIGN(auto reader, SegmentReader::open(request.loads.front().file, spool.segments));
  K4T_ASSIGN(auto share, Share::begin(*options_.engine.host, spool, reader, options_.share_port, request.for_s, call));
  runtime::ShareReply reply;
  reply.sent_bytes = size_bytes(spool.segments);
  for (std::uint32_t load = 0; load < request.loads.size(); ++load) {
    reply.tickets.push_back(Json(share->ticket(load)).dump());
  }
  const std::scoped_lock lock(mutex_);
  reply.share = std::to_string(++last_share_);
  shares_.emplace(reply.share, std::move(share));
  return reply;
}

Result<Nothing> DockerDriver::end_share(const runtime::EndShareRequest& request, Call& /*call*/) {
  const std::scoped_lock lock(mutex_);
  shares_.erase(request.share);
  return Nothing{};
}

}  // namespace k4t::docker
