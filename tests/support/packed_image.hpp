#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "k4t/digest.hpp"
#include "k4t/json.hpp"
#include "support/process.hpp"

/// Archives of images as others write them, with every byte at the test's will.

namespace k4t::testing {

using Members = std::vector<std::pair<std::string, std::string>>;  ///< name and content

inline std::string digest_of(const std::string& bytes) { return "sha256:" + sha256_hex(bytes); }

/// Made by tar itself of what is written into a folder.
inline std::string make_tar(const Scratch& scratch, const Members& members, const std::string& name = "images.tar",
                            const std::vector<std::string>& options = {}) {
  const std::filesystem::path folder = scratch.path() / (name + ".d");
  std::filesystem::create_directories(folder);
  std::vector<std::string> argv{"tar", "-C", folder.string(), "-cf", (scratch.path() / name).string()};
  argv.insert(argv.end(), options.begin(), options.end());
  for (const auto& [member, content] : members) {
    scratch.write(name + ".d/" + member, content);
    argv.push_back(member);
  }
  check(run(argv), "tar");
  return (scratch.path() / name).string();
}

/// A layer that an engine can unpack: a tar with one file.
inline std::string layer_of(const std::string& file, const std::string& content) {
  const Scratch scratch;
  return Scratch::read(make_tar(scratch, {{file, content}}, "layer.tar", {"--mtime=@0", "--owner=0", "--group=0"}));
}

/// A configuration over layers with these contents.
inline std::string config_of(const std::vector<std::string>& layers) {
  Json digests = Json::array();
  for (const auto& layer : layers) digests.push_back(digest_of(layer));
  return Json{{"architecture", "amd64"}, {"os", "linux"}, {"rootfs", {{"type", "layers"}, {"diff_ids", digests}}}}
      .dump();
}

/// What `docker save` would write of one image.
inline Members saved(const std::vector<std::string>& layers, const Json& names) {
  Members members{{"config.json", config_of(layers)}};
  Json paths = Json::array();
  for (std::size_t n = 0; n < layers.size(); ++n) {
    members.emplace_back("l" + std::to_string(n) + "/layer.tar", layers[n]);
    paths.push_back(members.back().first);
  }
  const Json manifest = Json::array({{{"Config", "config.json"}, {"RepoTags", names}, {"Layers", paths}}});
  members.emplace_back("manifest.json", manifest.dump());
  return members;
}

/// Adds a blob of an OCI layout; its descriptor.
inline Json add_blob(Members& members, const std::string& content) {
  members.emplace_back("blobs/sha256/" + sha256_hex(content), content);
  return {{"digest", digest_of(content)}, {"size", content.size()}};
}

/// An image of an OCI layout; the descriptor of its manifest.
inline Json add_image(Members& members, const std::vector<std::string>& layers) {
  Json manifest{{"schemaVersion", 2}, {"config", add_blob(members, config_of(layers))}, {"layers", Json::array()}};
  for (const auto& layer : layers) manifest["layers"].push_back(add_blob(members, layer));
  return add_blob(members, manifest.dump());
}

/// Completes an OCI layout with its index.
inline Members layout(Members members, const Json& manifests) {
  members.emplace_back("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  members.emplace_back("index.json", Json{{"schemaVersion", 2}, {"manifests", manifests}}.dump());
  return members;
}

}  // namespace k4t::testing
