#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "k4t/runtime.hpp"

/// The tar that POST /images/load takes: a configuration, layers, and a manifest.json that says which is what (the
/// layout of `docker save`). Pure. The engine opens a layer's member only if it does not have that layer on top of
/// those below already, so that members may be absent; it compares each layer with the digest in the configuration.

namespace k4t::docker {

/// What the tar is made of, in this order: text, or a part of the file with the image.
using Segment = std::variant<std::string, runtime::Extent>;

/// Without the layers that are left out. INVALID_ARGUMENT: a name that is no image reference with a tag.
Result<std::vector<Segment>> load_archive(const runtime::LoadRequest& request);

std::uint64_t size_bytes(const std::vector<Segment>& segments);

/// From the answers of GET /images/json, one of them, and GET /images/{id}/json (null: not asked).
Result<runtime::Image> image_of(const Json& summary, const Json& inspected);

/// What a refused load means, see runtime::Driver::load_image.
Error load_error(const runtime::LoadRequest& request, const std::string& refusal);

}  // namespace k4t::docker
