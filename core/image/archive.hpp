#pragma once

#include <string>
#include <vector>

#include "image/tar_file.hpp"
#include "k4t/runtime.hpp"

/// Images in a file: what `docker save` writes, and OCI image layouts in a tar (OCI image specification 1.0,
/// image-layout.md), as buildx, buildah and skopeo write them. What the file says of itself is not trusted: digests of
/// what is read here are compared, those of layers by who takes them.

namespace k4t::image {

struct PackedImage {
  std::string id;                  ///< "sha256:" and the digest of its configuration
  std::vector<std::string> names;  ///< see familiar_name, sorted
  runtime::Extent config;
  std::vector<runtime::LoadLayer> layers;  ///< the lowest first, none left out
};

/// INVALID_ARGUMENT: it holds no images, or not all that they are made of, and what is wrong.
Result<std::vector<PackedImage>> images_of(const TarFile& tar);

/// The images that are `wanted`, by name or by the beginning of their id, with those names only; all for none. An image
/// without a name that is the only one in the archive gets the only name that is wanted. NOT_FOUND: one is not among
/// them.
Result<std::vector<PackedImage>> select(std::vector<PackedImage> images, const std::vector<std::string>& wanted);

/// As people and engines write it: without "docker.io/library/", and with a tag.
std::string familiar_name(std::string name);

}  // namespace k4t::image
