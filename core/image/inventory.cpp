#include "image/inventory.hpp"

#include <algorithm>

namespace k4t::image {

Inventory::Inventory(const std::vector<runtime::Image>& images) {
  for (const auto& image : images) {
    ids_.insert(image.id);
    for (const auto& name : image.names) named_.emplace(image.id, name);
    add_layers(image.layers);
  }
}

void Inventory::add_layers(const std::vector<std::string>& digests) {
  std::string chain;
  for (const auto& digest : digests) chains_.insert(chain += digest + ' ');
}

bool Inventory::has(const PackedImage& image) const {
  return ids_.contains(image.id) && std::all_of(image.names.begin(), image.names.end(), [&](const std::string& name) {
           return named_.contains({image.id, name});
         });
}

runtime::LoadRequest Inventory::request_for(const PackedImage& image, const std::string& file) const {
  runtime::LoadRequest request{file, image.names, image.config, image.layers};
  std::string chain;
  for (auto& layer : request.layers) layer.left_out = chains_.contains(chain += layer.digest + ' ');
  return request;
}

void Inventory::add(const PackedImage& image) {
  ids_.insert(image.id);
  std::erase_if(named_, [&](const auto& one) {
    return std::find(image.names.begin(), image.names.end(), one.second) != image.names.end();
  });
  for (const auto& name : image.names) named_.emplace(image.id, name);
  std::vector<std::string> digests;
  for (const auto& layer : image.layers) digests.push_back(layer.digest);
  add_layers(digests);
}

std::size_t sent_layers(const runtime::LoadRequest& request) {
  return static_cast<std::size_t>(std::count_if(request.layers.begin(), request.layers.end(),
                                                [](const runtime::LoadLayer& layer) { return !layer.left_out; }));
}

}  // namespace k4t::image
