#include "image/archive.hpp"

#include <algorithm>
#include <optional>

#include "k4t/digest.hpp"

namespace k4t::image {
namespace {

constexpr std::uint64_t text_limit_bytes = 8u << 20;
constexpr std::string_view digest_prefix = "sha256:";
constexpr int most_nested = 3;  ///< an index in an index

Error unsound(const std::string& why) { return Error{Status::invalid_argument, "the archive " + why, {}}; }

bool is_digest(const std::string& text) {
  return text.size() == digest_prefix.size() + 64 && text.starts_with(digest_prefix) &&
         text.find_first_not_of("0123456789abcdef", digest_prefix.size()) == std::string::npos;
}

std::string text_in(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// A list of strings; absent and null are an empty one.
Result<std::vector<std::string>> texts_in(const Json& object, const char* name) {
  std::vector<std::string> texts;
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return texts;
  for (const auto& one : *found) {
    if (!one.is_string()) return unsound(std::string("has a malformed list \"") + name + "\"");
    texts.push_back(one.get<std::string>());
  }
  return texts;
}

/// A part that was found, and its text.
struct Part {
  runtime::Extent at;
  std::string text;
  Json json;
};

Result<Part> read_part(const TarFile& tar, const std::string& member) {
  const auto at = tar.find(member);
  if (!at) return unsound("lacks its part " + member);
  K4T_ASSIGN(auto text, tar.read(*at, text_limit_bytes));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return unsound("has a part that is not JSON: " + member);
  return Part{*at, std::move(text), std::move(json)};
}

std::string blob_member(const std::string& digest) { return "blobs/sha256/" + digest.substr(digest_prefix.size()); }

/// A blob that says what it is by its digest.
Result<Part> read_blob(const TarFile& tar, const Json& descriptor) {
  const std::string digest = text_in(descriptor, "digest");
  if (!is_digest(digest)) return unsound("has a malformed digest: " + digest.substr(0, 80));
  K4T_ASSIGN(auto part, read_part(tar, blob_member(digest)));
  if (std::string(digest_prefix) + sha256_hex(part.text) != digest)
    return unsound("has a part that is not what its digest says: " + digest);
  return part;
}

/// An image of its configuration and the members that its layers are.
Result<PackedImage> image_of(const TarFile& tar, const Part& config, const std::vector<std::string>& members) {
  PackedImage image;
  image.id = std::string(digest_prefix) + sha256_hex(config.text);
  image.config = config.at;
  const auto rootfs = config.json.find("rootfs");
  if (!config.json.is_object() || rootfs == config.json.end())
    return unsound("has a configuration that names no layers");
  K4T_ASSIGN(const auto digests, texts_in(*rootfs, "diff_ids"));
  if (digests.size() != members.size()) {
    return unsound("has an image of " + std::to_string(digests.size()) + " layers with " +
                   std::to_string(members.size()) + " of them");
  }
  for (std::size_t n = 0; n < members.size(); ++n) {
    const auto at = tar.find(members[n]);
    if (!at) return unsound("lacks its layer " + members[n]);
    if (!is_digest(digests[n])) return unsound("has a malformed digest: " + digests[n].substr(0, 80));
    image.layers.push_back({digests[n], *at, false});
  }
  return image;
}

Result<PackedImage> saved_image(const TarFile& tar, const Json& entry) {
  K4T_ASSIGN(const auto config, read_part(tar, text_in(entry, "Config")));
  K4T_ASSIGN(const auto members, texts_in(entry, "Layers"));
  K4T_ASSIGN(auto image, image_of(tar, config, members));
  K4T_ASSIGN(image.names, texts_in(entry, "RepoTags"));
  return image;
}

/// The layout of `docker save`.
Result<std::vector<PackedImage>> saved_images(const TarFile& tar) {
  K4T_ASSIGN(const auto manifest, read_part(tar, "manifest.json"));
  if (!manifest.json.is_array()) return unsound("has a malformed manifest.json");
  std::vector<PackedImage> images;
  for (const auto& entry : manifest.json) {
    K4T_ASSIGN(auto image, saved_image(tar, entry));
    images.push_back(std::move(image));
  }
  return images;
}

/// The name that builders give; empty: none. `org.opencontainers.image.ref.name` may be a tag alone.
std::string layout_name(const Json& descriptor) {
  const auto notes = descriptor.find("annotations");
  if (notes == descriptor.end()) return {};
  for (const char* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"}) {
    std::string name = text_in(*notes, key);
    if (name.find_first_of(":/") != std::string::npos) return name;
  }
  return {};
}

bool is_index(const Part& part) { return part.json.contains("manifests"); }

/// Attestations stand among the images as ones for no platform.
bool runs_anywhere(const Json& descriptor) {
  const auto platform = descriptor.find("platform");
  return platform == descriptor.end() || text_in(*platform, "os") != "unknown";
}

/// Descends to the one image that an index is about.
Result<Part> manifest_under(const TarFile& tar, Part part) {
  for (int depth = 0; is_index(part); ++depth) {
    std::vector<Json> runnable;
    for (const auto& descriptor : part.json.at("manifests")) {
      if (runs_anywhere(descriptor)) runnable.push_back(descriptor);
    }
    if (runnable.size() != 1 || depth == most_nested) {
      return unsound("holds an image for several platforms, or for none; make one for the nodes' platform");
    }
    K4T_ASSIGN(part, read_blob(tar, runnable.front()));
  }
  return part;
}

Result<PackedImage> layout_image(const TarFile& tar, const Json& descriptor) {
  K4T_ASSIGN(auto blob, read_blob(tar, descriptor));
  K4T_ASSIGN(const auto manifest, manifest_under(tar, std::move(blob)));
  const auto config_at = manifest.json.find("config");
  if (config_at == manifest.json.end()) return unsound("has a manifest without a configuration");
  K4T_ASSIGN(const auto config, read_blob(tar, *config_at));
  std::vector<std::string> members;
  for (const auto& layer : manifest.json.value("layers", Json::array())) {
    const std::string digest = text_in(layer, "digest");
    if (!is_digest(digest)) return unsound("has a malformed digest: " + digest.substr(0, 80));
    members.push_back(blob_member(digest));
  }
  K4T_ASSIGN(auto image, image_of(tar, config, members));
  if (const auto name = layout_name(descriptor); !name.empty()) image.names.push_back(name);
  return image;
}

Result<std::vector<PackedImage>> layout_images(const TarFile& tar) {
  K4T_ASSIGN(const auto index, read_part(tar, "index.json"));
  std::vector<PackedImage> images;
  for (const auto& descriptor : index.json.value("manifests", Json::array())) {
    if (!runs_anywhere(descriptor)) continue;
    K4T_ASSIGN(auto image, layout_image(tar, descriptor));
    images.push_back(std::move(image));
  }
  return images;
}

Result<std::vector<PackedImage>> parse(const TarFile& tar) {
  if (tar.find("manifest.json")) return saved_images(tar);
  if (tar.find("index.json")) return layout_images(tar);
  return unsound("holds no images: neither what `docker save` writes nor an OCI image layout");
}

bool has_name(const PackedImage& image, const std::string& name) {
  return std::find(image.names.begin(), image.names.end(), name) != image.names.end();
}

/// Whether a user means the image by its id, with "sha256:" or without, whole or its beginning.
bool is_id_of(const PackedImage& image, const std::string& text) {
  constexpr std::size_t shortest = 4;
  const std::string_view id = image.id;
  return text.size() >= shortest && (id.substr(digest_prefix.size()).starts_with(text) ||
                                     (text.starts_with(digest_prefix) && id.starts_with(text)));
}

std::string names_of(const std::vector<PackedImage>& images) {
  std::string text;
  for (const auto& image : images) {
    if (image.names.empty()) text += (text.empty() ? "" : ", ") + image.id;
    for (const auto& name : image.names) text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

}  // namespace

Result<std::vector<PackedImage>> images_of(const TarFile& tar) {
  try {
    K4T_ASSIGN(auto images, parse(tar));
    if (images.empty()) return unsound("holds no images");
    for (auto& image : images) {
      std::transform(image.names.begin(), image.names.end(), image.names.begin(), familiar_name);
      std::sort(image.names.begin(), image.names.end());
    }
    return images;
  } catch (const Json::exception& error) {
    return unsound(std::string("is malformed: ") + error.what());
  }
}

Result<std::vector<PackedImage>> select(std::vector<PackedImage> images, const std::vector<std::string>& wanted) {
  if (wanted.empty()) return images;
  const bool nameless = images.size() == 1 && images.front().names.empty() && !is_id_of(images.front(), wanted.front());
  if (nameless && wanted.size() == 1) {
    images.front().names = {familiar_name(wanted.front())};
    return images;
  }
  std::vector<PackedImage> chosen;
  for (const auto& text : wanted) {
    std::string name = familiar_name(text);
    auto found = std::find_if(images.begin(), images.end(), [&](const auto& image) { return has_name(image, name); });
    if (found == images.end()) {
      found = std::find_if(images.begin(), images.end(), [&](const auto& image) { return is_id_of(image, text); });
      name.clear();
    }
    if (found == images.end()) {
      return Error{Status::not_found, "image " + text + " is not in the archive, which holds " + names_of(images), {}};
    }
    auto known = std::find_if(chosen.begin(), chosen.end(), [&](const auto& one) { return one.id == found->id; });
    if (known == chosen.end()) {
      known = chosen.insert(chosen.end(), *found);
      known->names.clear();
    }
    if (!name.empty() && !has_name(*known, name)) known->names.push_back(name);
  }
  return chosen;
}

std::string familiar_name(std::string name) {
  for (const std::string_view prefix : {"docker.io/library/", "docker.io/"}) {
    if (!name.starts_with(prefix)) continue;
    name.erase(0, prefix.size());
    break;
  }
  const auto slash = name.rfind('/');
  const bool tagged = name.find(':', slash == std::string::npos ? 0 : slash) != std::string::npos;
  return tagged || name.find('@') != std::string::npos ? name : name + ":latest";
}

}  // namespace k4t::image
