#pragma once

#include <optional>
#include <string>
#include <vector>

#include "image/archive.hpp"
#include "operation/environment.hpp"

/// Images on their way to the nodes without a registry.

namespace k4t::operation {

enum class Delivered {
  present,  ///< it was there already
  loaded,   ///< it is there now
  failed,
};
K4T_JSON_ENUM_DECLARE(Delivered, {Delivered::present, "present"}, {Delivered::loaded, "loaded"},
                      {Delivered::failed, "failed"})

/// What became of one image on one node.
struct Delivery {
  std::string node;
  std::string image;  ///< its names, or its id
  Delivered outcome = Delivered::failed;
  std::uint64_t sent_bytes = 0;  ///< that travelled; 0 where it failed
  std::size_t sent_layers = 0;   ///< of `layers`
  std::size_t layers = 0;
  std::string from;          ///< the node that gave what was sent; empty: this machine did
  std::optional<Error> why;  ///< of what failed
};

/// The nodes of these names, or for none all whose driver takes images and that nobody declared lost. INVALID_ARGUMENT:
/// there is no such node, or its driver takes none.
Result<std::vector<drivers::NodeClient*>> receivers(const Environment& environment,
                                                    const std::vector<std::string>& names);

/// Fetches images from where `source` is, as an archive of this machine.
Result<image::Spool> fetch_images(const Environment& environment, drivers::NodeClient& source,
                                  const std::vector<std::string>& images);

/// Brings the images of `tar` to the nodes, each only with the layers that the node does not have. What several of them
/// lack leaves this machine once, where nodes can share: one of them then gives it to the others, and who cannot get it
/// there is sent it from here. A node that fails costs only itself. Sorted by node, then as in `images`.
std::vector<Delivery> push_images(const Environment& environment, const image::TarFile& tar,
                                  const std::vector<image::PackedImage>& images,
                                  const std::vector<drivers::NodeClient*>& nodes);

/// Where an image that services need is.
struct ImageSight {
  std::string image;
  std::vector<std::string> services;
  std::vector<std::string> on;
  std::vector<std::string> not_on;
  std::vector<std::string> unknown;  ///< nodes that do not tell
};

/// The images of `services`, sorted, on `nodes`.
std::vector<ImageSight> look_at_images(const std::vector<model::Service>& services,
                                       const std::vector<drivers::NodeClient*>& nodes);

}  // namespace k4t::operation
