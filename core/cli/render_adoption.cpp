#include "cli/render_adoption.hpp"

#include <algorithm>

#include "cli/render.hpp"

namespace k4t::cli {
namespace {

/// ":80 shop.demo.example.net/, :9000"
std::string reached_at(const model::Service& service, const std::string& domain) {
  std::vector<std::string> places;
  for (const auto& expose : service.expose) {
    std::string place = ':' + std::to_string(expose.listen);
    if (expose.protocol == gateway::Protocol::http) {
      place += ' ' + (expose.host.empty() ? service.name + '.' + domain : expose.host) + expose.path;
    }
    places.push_back(std::move(place));
  }
  return places.empty() ? "-" : join(places, ", ");
}

}  // namespace

std::string render_found(const operation::Found& found, bool colours) {
  const auto& adoption = found.adoption;
  const auto& witnesses = found.assessment.witnesses;
  const auto telling = std::count_if(witnesses.begin(), witnesses.end(),
                                     [](const txn::Peeked& one) { return one.shown && one.shown->has_value(); });
  const std::string domain = found.latest == nullptr ? std::string() : found.latest->state.dns.suffix;
  std::string text;
  if (!adoption.services.empty()) {
    Table table({"SERVICE", "REPLICAS", "IMAGE", "REACHED AT", "AS TOLD BY"});
    for (const auto& adopted : adoption.services) {
      const auto& service = adopted.service;
      table.add({service.name, std::to_string(service.replicas),
                 service.image.empty() ? join(service.command, " ") : service.image, reached_at(service, domain),
                 adopted.told_by});
    }
    text += table.render(colours) + '\n';
  }
  text += "Served is " + version_text(found.latest) + ", as " + std::to_string(telling) + " of " +
          std::to_string(witnesses.size()) + (witnesses.size() == 1 ? " witness" : " witnesses") +
          (telling == 1 ? " tells" : " tell") + (found.sure ? ".\n" : ", which is no majority.\n");
  const auto warn = [&](const std::string& line, Style style) {
    text += styled("!", style, colours) + ' ' + printable(line) + '\n';
  };
  for (const auto& adopted : adoption.services) {
    if (!adopted.doubt.empty()) warn("service " + adopted.service.name + ' ' + adopted.doubt, Style::warning);
  }
  for (const auto& line : adoption.odd) warn(line, Style::warning);
  for (const auto& line : adoption.unread) warn(line, Style::bad);
  for (const auto& line : adoption.unexplained) warn("served, and nothing here says why: " + line, Style::bad);
  return text;
}

Json found_json(const operation::Found& found) {
  Json services = Json::array();
  for (const auto& adopted : found.adoption.services) {
    services.push_back(Json{{"service", adopted.service},
                            {"instances", adopted.instances.size()},
                            {"told_by", adopted.told_by},
                            {"doubt", adopted.doubt}});
  }
  return Json{{"services", std::move(services)},
              {"version", found.latest == nullptr ? 0 : found.latest->record.version},
              {"sure", found.sure},
              {"odd", found.adoption.odd},
              {"unread", found.adoption.unread},
              {"unexplained", found.adoption.unexplained}};
}

}  // namespace k4t::cli
