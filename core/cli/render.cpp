#include "cli/render.hpp"

#include "cli/render_node.hpp"
#include "cli/render_txn.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace k4t::cli {
namespace {

using operation::Ending;
using operation::Preview;
using operation::Report;
using txn::Standing;

/// "n1 ×2, n2"
std::string nodes_text(const std::map<std::string, int>& counts) {
  std::vector<std::string> parts;
  for (const auto& [node, count] : counts) parts.push_back(count == 1 ? node : node + " ×" + std::to_string(count));
  return join(parts, ", ");
}

std::string marked(const std::string& line, bool colours) {
  const Style style = line.starts_with('+') ? Style::good : line.starts_with('-') ? Style::bad : Style::warning;
  return "  " + styled(printable(line), style, colours) + '\n';
}

void render_instance_changes(const plan::Plan& plan, bool colours, std::string& text) {
  std::map<std::string, std::map<std::string, int>> made;
  for (const auto& creation : plan.creations) ++made[creation.placed.service][creation.placed.node];
  for (const auto& [service, nodes] : made) {
    std::size_t count = 0;
    for (const auto& [node, number] : nodes) count += static_cast<std::size_t>(number);
    text += marked("+ " + service + ": start " + plural(count, "instance") + " on " + nodes_text(nodes), colours);
  }
  std::map<std::pair<std::string, plan::Cause>, std::map<std::string, int>> removed;
  for (const auto& removal : plan.removals) ++removed[{removal.placed.service, removal.cause}][removal.placed.node];
  for (const auto& [key, nodes] : removed) {
    std::size_t count = 0;
    for (const auto& [node, number] : nodes) count += static_cast<std::size_t>(number);
    text += marked("- " + key.first + ": remove " + plural(count, "instance") + " on " + nodes_text(nodes) + " (" +
                       std::string(to_string(key.second)) + ")",
                   colours);
  }
  std::map<std::string, std::map<std::string, int>> given_up;
  for (const auto& placed : plan.given_up) ++given_up[placed.service][placed.node];
  for (const auto& [service, nodes] : given_up) {
    std::size_t count = 0;
    for (const auto& [node, number] : nodes) count += static_cast<std::size_t>(number);
    text += marked(
        "- " + service + ": give up " + plural(count, "instance") + " on " + nodes_text(nodes) + " (its node is lost)",
        colours);
  }
}

void render_marks(const Preview& preview, bool colours, std::string& text) {
  if (preview.marks.empty() && preview.returned.empty()) return;
  text += styled("Nodes", Style::bold, colours) + '\n';
  for (const auto& mark : preview.marks) {
    const std::string why = mark.why.empty() ? std::string{} : " (" + mark.why + ")";
    text += marked("~ " + mark.node + ": " + std::string(to_string(mark.mark)) + why, colours);
  }
  for (const auto& node : preview.returned) text += marked("~ " + node + ": has returned", colours);
}

Json member_json(const txn::Member& member, const txn::EntryPtr& latest) {
  Json json{{"group", member.who.group},
            {"name", member.who.name},
            {"listed", member.listed},
            {"standing", member.standing},
            {"says", txn::describe(member, latest.get())}};
  if (member.seen) json["seen"] = *member.seen;
  if (member.why) json["why"] = member.why->message;
  return json;
}

void render_lagging(const Report& report, bool colours, std::string& text) {
  for (const auto& member : report.members) {
    if (!member.listed || member.standing == Standing::current) continue;
    text += "  " + styled(txn::to_string(member.who), style_of_standing(member.standing), colours) + ": " +
            printable(txn::describe(member, report.latest.get()));
    if (member.why && member.standing != Standing::unknown) text += " (" + printable(member.why->message) + ")";
    text += '\n';
  }
}

}  // namespace

std::string join(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

Style style_of_standing(Standing standing) {
  switch (standing) {
    case Standing::current: return Style::good;
    case Standing::unknown:
    case Standing::diverged:
    case Standing::ahead: return Style::bad;
    default: return Style::warning;
  }
}

std::string version_text(const txn::EntryPtr& latest) {
  return latest == nullptr ? "no version yet" : "version " + std::to_string(latest->record.version);
}

Json members_json(const std::vector<txn::Member>& members, const txn::EntryPtr& latest) {
  Json json = Json::array();
  for (const auto& member : members) json.push_back(member_json(member, latest));
  return json;
}

std::string plural(std::size_t count, const std::string& noun) {
  return std::to_string(count) + ' ' + noun + (count == 1 ? "" : "s");
}

std::string human_age(std::int64_t seconds) {
  if (seconds < 0) return "?";
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  if (seconds < 172800) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86400) + " d";
}

std::string render_preview(const Preview& preview, bool colours) {
  std::string text;
  const auto& plan = preview.plan;
  render_marks(preview, colours, text);
  if (!plan.creations.empty() || !plan.removals.empty() || !plan.given_up.empty()) {
    text += styled("Instances", Style::bold, colours) + '\n';
    render_instance_changes(plan, colours, text);
  }
  if (!preview.differences.empty()) {
    text += styled("Gateways and DNS", Style::bold, colours) + '\n';
    for (const auto& line : preview.differences) text += marked(line, colours);
  }
  if (!preview.witnesses.empty()) {
    text += styled("Witnesses", Style::bold, colours) + '\n';
    for (const auto& line : preview.witnesses) text += marked(line, colours);
  }
  for (const auto& member : preview.assessment.members) {
    if (member.listed && member.standing != Standing::current && preview.catch_up) {
      text += marked("~ " + txn::to_string(member.who) + ": " + txn::describe(member, preview.assessment.latest.get()),
                     colours);
    }
  }
  if (!plan.complete) {
    text += styled("  Room is short: this goes in rounds, each of which removes what the next one needs.", Style::dim,
                   colours) +
            '\n';
  }
  for (const auto& warning : plan.warnings) {
    text += styled("warning: ", Style::warning, colours) + printable(warning) + '\n';
  }
  for (const auto& left : plan.left_undone) {
    text += styled("left undone: ", Style::warning, colours) + printable(left) + '\n';
  }
  for (const auto& problem : plan.problems) {
    text += styled("problem: ", Style::bad, colours) + printable(problem) + '\n';
  }
  if (!plan.problems.empty()) {
    text += "This cannot be done as it is; nothing has changed.\n";
  } else if (preview.nothing_to_do()) {
    text += "Nothing to do: " + plural(plan.kept.size(), "instance") + " as wanted, " +
            version_text(preview.assessment.latest) + " is served.\n";
  } else {
    text += plural(plan.creations.size(), "instance") + " to start, " + std::to_string(plan.removals.size()) +
            " to remove, " + std::to_string(plan.kept.size()) + " unchanged.\n";
  }
  return text;
}

Json preview_json(const Preview& preview) {
  Json creations = Json::array();
  for (const auto& creation : preview.plan.creations) creations.push_back(Json(creation.placed));
  Json removals = Json::array();
  for (const auto& removal : preview.plan.removals) {
    removals.push_back(Json{{"instance", removal.placed}, {"cause", removal.cause}});
  }
  return Json{{"create", creations},
              {"remove", removals},
              {"keep", preview.plan.kept},
              {"routing", preview.differences},
              {"witnesses", preview.witnesses},
              {"give_up", preview.plan.given_up},
              {"left_undone", preview.plan.left_undone},
              {"marks", preview.marks},
              {"returned", preview.returned},
              {"complete", preview.plan.complete},
              {"warnings", preview.plan.warnings},
              {"problems", preview.plan.problems},
              {"members", members_json(preview.assessment.members, preview.assessment.latest)},
              {"nothing_to_do", preview.nothing_to_do()}};
}

std::string render_report(const Report& report, bool colours) {
  std::string text;
  switch (report.ending) {
    case Ending::unchanged:
      text = report.left_undone.empty() ? styled("Nothing to do.", Style::good, colours) + " Everything is as wanted"
                                        : styled("Nothing can be done now", Style::warning, colours);
      text += "; nothing was written anywhere.\n";
      break;
    case Ending::done:
      text = styled("Done.", Style::good, colours) +
             (report.version == 0
                  ? " Nothing is served yet.\n"
                  : " Version " + std::to_string(report.version) + " is served by every gateway and DNS server.\n");
      break;
    case Ending::lagging:
      text = styled("Done, but not everywhere.", Style::warning, colours) + " Version " +
             std::to_string(report.version) + " is decided; still to catch up:\n";
      render_lagging(report, colours, text);
      text += "They catch up with the next command that changes something, or with `k4t sync`.\n";
      break;
    case Ending::failed: text = styled("Failed; nothing has changed.", Style::bad, colours) + '\n'; break;
    case Ending::unfinished:
      text = styled("Not finished.", Style::bad, colours) + " The next k4t command finishes it or undoes it.\n";
      break;
  }
  for (const auto& left : report.left_undone) {
    text += styled("left undone: ", Style::warning, colours) + printable(left) + '\n';
  }
  const bool done = report.ending == Ending::done || report.ending == Ending::lagging;
  if (done && report.single_copy) {
    text += styled("single copy", Style::warning, colours) +
            ": the record of this change is on this machine only; a [[witness]] or [[record]] folder on another one "
            "keeps it safe\n";
  }
  return text;
}

Json report_json(const Report& report) {
  Json json{{"ending", report.ending},
            {"version", report.version},
            {"single_copy", report.single_copy},
            {"members", members_json(report.members, report.latest)}};
  if (!report.left_undone.empty()) json["left_undone"] = report.left_undone;
  if (report.why) {
    json["error"] = {
        {"status", to_string(report.why->status)}, {"message", report.why->message}, {"detail", report.why->detail}};
  }
  return json;
}

std::string render_instances(const std::vector<plan::Placed>& instances, std::int64_t now_s, bool colours) {
  Table table({"SERVICE", "INSTANCE", "NODE", "STATE", "AGE", "RESTARTS", "REVISION", "ENDPOINTS"});
  for (const auto& placed : instances) {
    std::vector<std::string> endpoints;
    for (const auto& [port, number] : placed.ports) {
      endpoints.push_back(port + "=" + placed.address + ":" + std::to_string(number));
    }
    std::string state(to_string(placed.phase));
    if (placed.health != runtime::Health::none) state += ", " + std::string(to_string(placed.health));
    if (!placed.detail.empty()) state += " (" + placed.detail + ")";
    const Style look = placed.phase == runtime::Phase::running ? Style::good : Style::bad;
    table.add({placed.service,
               placed.name,
               placed.node,
               {state, look},
               placed.started_at_s > 0 ? human_age(now_s - placed.started_at_s) : "-",
               std::to_string(placed.restarts),
               placed.revision,
               join(endpoints, " ")});
  }
  return table.empty() ? "No instances.\n" : table.render(colours);
}

}  // namespace k4t::cli
