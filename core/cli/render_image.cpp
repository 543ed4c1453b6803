#include "cli/render_image.hpp"

#include "cli/console.hpp"
#include "cli/progress.hpp"

namespace k4t::cli {
namespace {

using operation::Delivered;
using operation::Delivery;

Style style_of(Delivered outcome) { return outcome == Delivered::failed ? Style::bad : Style::good; }

std::string sent_text(const Delivery& delivery) {
  if (delivery.outcome != Delivered::loaded) return "-";
  return human_bytes(delivery.sent_bytes) + ", " + std::to_string(delivery.sent_layers) + " of " +
         std::to_string(delivery.layers) + " layers";
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "-" : text;
}

}  // namespace

std::string render_deliveries(const std::vector<Delivery>& deliveries, bool colours) {
  Table table({"NODE", "IMAGE", "RESULT", "SENT", "FROM", "WHY"});
  for (const auto& delivery : deliveries) {
    table.add({delivery.node,
               delivery.image,
               {std::string(to_string(delivery.outcome)), style_of(delivery.outcome)},
               sent_text(delivery),
               delivery.outcome != Delivered::loaded ? "-"
               : delivery.from.empty()               ? "here"
                                                     : delivery.from,
               delivery.why ? delivery.why->message : ""});
  }
  return table.render(colours);
}

Json deliveries_json(const std::vector<Delivery>& deliveries) {
  Json json = Json::array();
  for (const auto& delivery : deliveries) {
    Json one{{"node", delivery.node}, {"image", delivery.image}, {"result", delivery.outcome}};
    if (delivery.why) {
      one["why"] = delivery.why->message;
    } else {
      one["sent_bytes"] = delivery.sent_bytes;
      one["sent_layers"] = delivery.sent_layers;
      one["layers"] = delivery.layers;
      if (!delivery.from.empty()) one["from"] = delivery.from;
    }
    json.push_back(std::move(one));
  }
  return json;
}

std::string render_image_sights(const std::vector<operation::ImageSight>& sights, bool colours) {
  Table table({"IMAGE", "SERVICES", "ON", "NOT ON", "UNKNOWN"});
  for (const auto& sight : sights) {
    table.add({sight.image,
               joined(sight.services),
               joined(sight.on),
               {joined(sight.not_on), sight.not_on.empty() ? Style::plain : Style::warning},
               {joined(sight.unknown), sight.unknown.empty() ? Style::plain : Style::bad}});
  }
  return table.render(colours);
}

Json image_sights_json(const std::vector<operation::ImageSight>& sights) {
  Json json = Json::array();
  for (const auto& sight : sights) {
    json.push_back({{"image", sight.image},
                    {"services", sight.services},
                    {"on", sight.on},
                    {"not_on", sight.not_on},
                    {"unknown", sight.unknown}});
  }
  return json;
}

}  // namespace k4t::cli
