#include "load_archive.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "client.hpp"
#include "render.hpp"

namespace k4t::docker {
namespace {

constexpr std::size_t block_bytes = 512;
constexpr std::uint64_t octal_limit = std::uint64_t{1} << 33U;  ///< what eleven octal digits cannot say any more
constexpr const char* config_member = "config.json";

/// POSIX.1-1988 (ustar). Larger sizes are in base 256, as GNU tar and Go write and read them.
std::string tar_header(const std::string& name, std::uint64_t bytes) {
  std::array<char, block_bytes> block{};
  const auto put = [&block](std::size_t at, const char* text) { std::memcpy(&block[at], text, std::strlen(text)); };
  put(0, name.c_str());
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  if (bytes < octal_limit) {
    std::array<char, 12> octal{};
    std::snprintf(octal.data(), octal.size(), "%011llo", static_cast<unsigned long long>(bytes));
    put(124, octal.data());
  } else {
    block[124] = static_cast<char>(0x80);
    for (std::size_t i = 0; i < sizeof bytes; ++i) block[135 - i] = static_cast<char>(bytes >> (8 * i));
  }
  put(136, "00000000000");
  put(148, "        ");
  block[156] = '0';
  std::memcpy(&block[257],
              "ustar\0"
              "00",
              8);
  const unsigned sum = std::accumulate(block.begin(), block.end(), 0U,
                                       [](unsigned all, char c) { return all + static_cast<unsigned char>(c); });
  std::array<char, 8> checksum{};
  std::snprintf(checksum.data(), checksum.size(), "%06o", sum);
  std::memcpy(&block[148], checksum.data(), 7);
  return {block.data(), block.size()};
}

std::string padding(std::uint64_t bytes) {
  return std::string((block_bytes - bytes % block_bytes) % block_bytes, '\0');
}

std::string layer_member(std::size_t at) { return std::to_string(at) + ".tar"; }

Result<std::string> manifest_of(const runtime::LoadRequest& request) {
  for (const auto& name : request.names) {
    K4T_ASSIGN(const ImageName parsed, parse_image(name));
    if (name.find('@') != std::string::npos || parsed.repository == "sha256") {
      return Error{Status::invalid_argument, "\"" + name + "\" is a digest or an identifier, not a name to give", {}};
    }
  }
  Json layers = Json::array();
  for (std::size_t at = 0; at < request.layers.size(); ++at) layers.push_back(layer_member(at));
  const Json image{{"Config", config_member}, {"RepoTags", request.names}, {"Layers", layers}};
  return Json::array({image}).dump();
}

}  // namespace

Result<std::vector<Segment>> load_archive(const runtime::LoadRequest& request) {
  K4T_ASSIGN(const std::string manifest, manifest_of(request));
  std::vector<Segment> segments;
  const auto add = [&segments](const std::string& name, std::uint64_t bytes, Segment content) {
    segments.emplace_back(tar_header(name, bytes));
    segments.push_back(std::move(content));
    segments.emplace_back(padding(bytes));
  };
  add("manifest.json", manifest.size(), manifest);
  add(config_member, request.config.bytes, request.config);
  for (std::size_t at = 0; at < request.layers.size(); ++at) {
    const auto& layer = request.layers[at];
    if (!layer.left_out) add(layer_member(at), layer.at.bytes, layer.at);
  }
  segments.emplace_back(std::string(2 * block_bytes, '\0'));
  return segments;
}

std::uint64_t size_bytes(const std::vector<Segment>& segments) {
  std::uint64_t sum = 0;
  for (const auto& segment : segments) {
    const auto* text = std::get_if<std::string>(&segment);
    sum += text != nullptr ? text->size() : std::get<runtime::Extent>(segment).bytes;
  }
  return sum;
}

Result<runtime::Image> image_of(const Json& summary, const Json& inspected) {
  runtime::Image image;
  image.id = text_of(summary, "Id");
  try {
    image.size_bytes = summary.value("Size", std::uint64_t{0});
    for (const char* list : {"RepoTags", "RepoDigests"}) {
      const auto names = summary.find(list);
      if (names == summary.end() || names->is_null()) continue;
      for (const auto& name : *names) image.names.push_back(name.get<std::string>());
    }
    if (!inspected.is_null()) image.layers = inspected.at("RootFS").value("Layers", std::vector<std::string>{});
  } catch (const Json::exception& error) {
    return Error{Status::unavailable, "the Docker Engine's answer about an image is not understood", error.what()};
  }
  std::erase_if(image.names, [](const std::string& name) { return name.find("<none>") != std::string::npos; });
  std::sort(image.names.begin(), image.names.end());
  if (image.id.empty()) return Error{Status::unavailable, "the Docker Engine's answer is not understood", {}};
  return image;
}

Error load_error(const runtime::LoadRequest& request, const std::string& refusal) {
  const auto says = [&refusal](const char* phrase) { return refusal.find(phrase) != std::string::npos; };
  const bool left_out =
      std::any_of(request.layers.begin(), request.layers.end(), [](const auto& layer) { return layer.left_out; });
  if (left_out && (says("no such file") || says("not found"))) {
    return Error{Status::conflict, "the Docker Engine does not have a layer that was left out", refusal};
  }
  if (says("diffID") || says("invalid tar header") || says("invalid manifest") || says("unexpected EOF")) {
    return Error{Status::invalid_argument, "the Docker Engine finds that this is no sound image: " + refusal, {}};
  }
  return Error{Status::unavailable, "the Docker Engine could not load the image: " + refusal, {}};
}

}  // namespace k4t::docker
