#include "spool.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <sstream>

namespace k4t::docker {
namespace {

/// The value of a line that begins so.
std::optional<std::string> after(const std::string& line, std::string_view begin) {
  if (!line.starts_with(begin)) return std::nullopt;
  return line.substr(begin.size());
}

}  // namespace

Spool spool_of(const std::vector<runtime::LoadRequest>& loads) {
  Spool spool;
  std::map<std::uint64_t, std::uint64_t> places;  // where a layer begins in the file, and in the spool
  std::uint64_t end = 0;
  for (std::size_t load = 0; load < loads.size(); ++load) {
    for (const auto& layer : loads[load].layers) {
      if (layer.left_out) continue;
      const auto [place, is_new] = places.try_emplace(layer.at.offset_bytes, end);
      if (is_new) {
        spool.segments.emplace_back(layer.at);
        end += layer.at.bytes;
      }
      spool.recipes +=
          std::to_string(load) + " " + std::to_string(place->second) + " " + std::to_string(layer.at.bytes) + "\n";
    }
  }
  return spool;
}

Result<Assembly> assembly_of(const runtime::LoadRequest& request) {
  K4T_ASSIGN(const auto segments, load_archive(request));
  const auto is_layer = [&request](const Segment& segment) {
    const auto* extent = std::get_if<runtime::Extent>(&segment);
    return extent != nullptr && *extent != request.config;
  };
  Assembly assembly;
  std::uint64_t in_a_row = 0;
  const auto end_row = [&] {
    if (in_a_row > 0) assembly.parts += "own " + std::to_string(in_a_row) + " ";
    in_a_row = 0;
  };
  for (const auto& segment : segments) {
    const auto bytes = size_bytes({segment});
    assembly.bytes += bytes;
    if (is_layer(segment)) {
      end_row();
      assembly.parts += "layer " + std::to_string(bytes) + " ";
    } else {
      in_a_row += bytes;
      assembly.own.push_back(segment);
    }
  }
  end_row();
  return assembly;
}

Result<Ticket> parse_shared(const std::string& text) {
  Ticket ticket;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  std::istringstream words(line);
  const bool placed = static_cast<bool>(words >> ticket.address >> ticket.port >> ticket.user);
  std::getline(lines, ticket.host_key);
  while (std::getline(lines, line)) ticket.private_key += line + "\n";
  if (placed && ticket.port != 0 && ticket.host_key.starts_with("ssh-") &&
      ticket.private_key.find("PRIVATE KEY-----") != std::string::npos) {
    return ticket;
  }
  return Error{Status::unavailable, "the node's answer about what it shares is not understood", {}};
}

std::optional<std::uint64_t> TakeReader::take_line(const std::string& line) {
  if (auto words = after(line, "ssh ")) {
    ssh_words_ += (ssh_words_.empty() ? "" : "; ") + *words;
  } else if ((words = after(line, "docker "))) {
    docker_words_ += (docker_words_.empty() ? "" : "; ") + *words;
  } else if ((words = after(line, "no "))) {
    refusal_ = words;
  } else if ((words = after(line, "end "))) {
    std::istringstream(*words) >> ssh_code_ >> docker_code_;
  } else {
    std::uint64_t bytes = 0;
    const auto read = std::from_chars(line.data(), line.data() + line.size(), bytes);
    if (read.ec == std::errc() && std::string_view(read.ptr).starts_with(" byte")) return bytes;
  }
  return std::nullopt;
}

Result<void> TakeReader::outcome(const runtime::LoadRequest& request) const {
  const auto unsupported = [](const std::string& why) { return Error{Status::unsupported, why, {}}; };
  if (refusal_) return unsupported(*refusal_);
  if (ssh_code_ == 0 && docker_code_ == 0) return {};
  if (docker_code_ > 0 && !docker_words_.empty()) {
    const Error engines = load_error(request, docker_words_);
    // What was cut off is no sound image either.
    if (ssh_code_ == 0 || engines.status == Status::conflict) return engines;
  }
  if (ssh_code_ != 0) return unsupported(ssh_words_.empty() ? "the transfer broke off" : ssh_words_);
  return Error{Status::unavailable, "the Docker Engine could not load the image: it gives no reason", {}};
}

}  // namespace k4t::docker
