#include "cli/render_backup.hpp"

#include <algorithm>

#include "cli/console.hpp"
#include "cli/render.hpp"
#include "cli/render_txn.hpp"

namespace k4t::cli {
namespace {

using backup::PlaceStanding;

Table::Cell state_cell(const PlaceStanding& standing) {
  if (standing.why) return {"failed: " + standing.why->message, Style::bad};
  if (!standing.last) return {"none yet", Style::bad};
  if (!standing.current) return {"behind", Style::warning};
  return standing.elsewhere ? Table::Cell("current", Style::good)
                            : Table::Cell("current, on this machine", Style::warning);
}

std::string age_cell(std::int64_t now_s, std::int64_t made_at_s) { return human_age(now_s - made_at_s) + " ago"; }

}  // namespace

std::string render_standings(const std::vector<PlaceStanding>& standings, std::int64_t now_s, bool colours) {
  if (standings.empty()) return {};
  Table table({"COPIES ON", "STATE", "VERSION", "MADE"});
  for (const auto& standing : standings) {
    table.add({standing.place, state_cell(standing), standing.last ? std::to_string(standing.last->version) : "-",
               standing.last ? age_cell(now_s, standing.last->made_at_s) : "never"});
  }
  return '\n' + table.render(colours);
}

Json standings_json(const std::vector<PlaceStanding>& standings) {
  Json json = Json::array();
  for (const auto& standing : standings) {
    Json one{{"place", standing.place}, {"current", standing.current}, {"elsewhere", standing.elsewhere}};
    if (standing.last) {
      one["copy"] = standing.last->name;
      one["version"] = standing.last->version;
      one["made_at_s"] = standing.last->made_at_s;
    }
    if (standing.why) one["why"] = standing.why->message;
    json.push_back(std::move(one));
  }
  return json;
}

std::string render_sent(const std::vector<PlaceStanding>& standings, bool colours) {
  std::string sent;
  std::string failed;
  for (const auto& standing : standings) {
    if (standing.sent) sent += (sent.empty() ? "" : ", ") + standing.place;
    if (standing.why)
      failed += styled("no copy", Style::warning, colours) + ": " + printable(standing.why->message) + '\n';
  }
  std::string text = failed;
  if (!sent.empty()) text += "Metadata copied to " + printable(sent) + ".\n";
  if (standings.empty() || backup::is_kept_elsewhere(standings)) return text;
  const bool kept_here =
      std::any_of(standings.begin(), standings.end(), [](const PlaceStanding& one) { return one.current; });
  return text + (kept_here
                     ? styled("not copied elsewhere", Style::bad, colours) +
                           ": copies on this machine are lost with it; name another one in a [[backup]] table\n"
                     : styled("not copied", Style::bad, colours) +
                           ": the metadata of this change is on this machine only; `k4t backup now` tries again\n");
}

std::string render_copies(const std::vector<CopyLine>& lines, std::int64_t now_s, bool colours) {
  Table table({"COPIES ON", "COPY", "VERSION", "MADE", "STATE"});
  for (const auto& line : lines) {
    const Table::Cell state = line.why             ? Table::Cell(line.why->message, Style::bad)
                              : !line.copy         ? Table::Cell("none", Style::warning)
                              : line.sound == true ? Table::Cell("sound", Style::good)
                                                   : Table::Cell("");
    table.add({line.place, line.copy ? line.copy->text() : "-", line.copy ? std::to_string(line.copy->version) : "-",
               line.copy ? age_cell(now_s, line.copy->made_at_s) : "-", state});
  }
  return table.render(colours);
}

Json copies_json(const std::vector<CopyLine>& lines) {
  Json json = Json::array();
  for (const auto& line : lines) {
    Json one{{"place", line.place}};
    if (line.copy) {
      one["copy"] = line.copy->text();
      one["version"] = line.copy->version;
      one["made_at_s"] = line.copy->made_at_s;
    }
    if (line.sound) one["sound"] = *line.sound;
    if (line.why) one["why"] = line.why->message;
    json.push_back(std::move(one));
  }
  return json;
}

}  // namespace k4t::cli
