#pragma once

#include <set>
#include <string>
#include <vector>

#include "image/archive.hpp"

namespace k4t::image {

/// What a node has of images, and thus what it need not be sent. Pure.
class Inventory {
 public:
  explicit Inventory(const std::vector<runtime::Image>& images);

  /// It is there, under all its names.
  [[nodiscard]] bool has(const PackedImage& image) const;
  /// How to load it: without the layers that are there on top of the same ones.
  [[nodiscard]] runtime::LoadRequest request_for(const PackedImage& image, const std::string& file) const;
  /// It is there from now on.
  void add(const PackedImage& image);

 private:
  void add_layers(const std::vector<std::string>& digests);

  std::set<std::pair<std::string, std::string>> named_;  ///< id and name
  std::set<std::string> ids_;
  std::set<std::string> chains_;  ///< digests from the lowest to one, one after another
};

/// How many layers a request sends.
std::size_t sent_layers(const runtime::LoadRequest& request);

}  // namespace k4t::image
