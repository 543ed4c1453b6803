#pragma once

#include <string>
#include <vector>

#include "operation/images.hpp"

/// What is shown of images; pure.

namespace k4t::cli {

std::string render_deliveries(const std::vector<operation::Delivery>& deliveries, bool colours);
Json deliveries_json(const std::vector<operation::Delivery>& deliveries);

std::string render_image_sights(const std::vector<operation::ImageSight>& sights, bool colours);
Json image_sights_json(const std::vector<operation::ImageSight>& sights);

}  // namespace k4t::cli
