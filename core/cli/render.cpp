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

std::string join(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

/// "n1 ×2, n2"
std::string nodes_text(const std::map<std::string, int>& counts) {
  std::vector<std::string> parts;
  for (const auto& [node, count] : counts) parts.push_back(count == 1 ? node : node + " ×" + std::to_string(count));
  return join(parts, ", ");
}

Style style_of(Standing standing) {
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

Json members_json(const std::vector<txn::Member>& members, const txn::EntryPtr& latest) {
  Json json = Json::array();
  for (const auto& member : members) json.push_back(member_json(member, latest));
  return json;
}

void render_lagging(const Report& report, bool colours, std::string& text) {
  for (const auto& member : report.members) {
    if (!member.listed || member.standing == Standing::current) continue;
    text += "  " + styled(txn::to_string(member.who), style_of(member.standing), colours) + ": " +
            printable(txn::describe(member, report.latest.get()));
    if (member.why && member.standing != Standing::unknown) text += " (" + printable(member.why->message) + ")";
    text += '\n';
  }
}

}  // namespace

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

namespace {

/// What is known of a participant's version, lag and last contact.
struct Contacted {
  std::optional<std::uint64_t> serves;  ///< 0: nothing of k4t's; absent: not known now
  std::optional<operation::Contact> before;
  std::optional<operation::Lag> lag;
};

Contacted contacted(const txn::Member& member, const operation::Status& status) {
  Contacted known;
  if (member.seen) known.serves = member.seen->served ? member.seen->served->version : 0;
  const auto found = status.contacts.find(txn::to_string(member.who));
  if (found != status.contacts.end()) known.before = found->second;
  const auto& latest = status.assessment.latest;
  if (latest != nullptr) known.lag = operation::lag_of(member, *latest, status.decisions);
  return known;
}

std::string version_cell(const Contacted& known) {
  if (known.serves) return *known.serves == 0 ? "-" : std::to_string(*known.serves);
  return known.before && known.before->version > 0 ? "?, was " + std::to_string(known.before->version) : "?";
}

std::string contact_cell(const Contacted& known, std::int64_t now_s) {
  if (known.serves) return "now";
  return known.before ? human_age(now_s - known.before->at_s) + " ago" : "never";
}

std::string detail_cell(const txn::Member& member, const Contacted& known, const operation::Status& status) {
  std::string text = txn::describe(member, status.assessment.latest.get());
  if (!known.lag || known.lag->versions == 0 || !member.listed) return text;
  text += ", " + plural(known.lag->versions, "version") + " behind";
  if (known.lag->since_s) text += " since " + utc_time(*known.lag->since_s);
  return text;
}

Json status_members_json(const operation::Status& status) {
  Json all = members_json(status.assessment.members, status.assessment.latest);
  for (std::size_t i = 0; i < status.assessment.members.size(); ++i) {
    const auto known = contacted(status.assessment.members[i], status);
    if (known.serves) all[i]["version"] = *known.serves;
    if (known.lag) all[i]["versions_behind"] = known.lag->versions;
    if (known.lag && known.lag->since_s) all[i]["behind_since_s"] = *known.lag->since_s;
    if (known.serves) {
      all[i]["last_contact_s"] = status.now_s;
    } else if (known.before) {
      all[i]["last_contact_s"] = known.before->at_s;
      all[i]["last_version"] = known.before->version;
    }
  }
  return all;
}

Table::Cell state_cell(const plan::NodeView& view) {
  if (!view.mark) return {"ready", Style::good};
  return {node_state(view) + ", by " + mark_text(*view.mark), Style::warning};
}

}  // namespace

std::string render_status(const model::Cluster& cluster, const operation::Status& status, bool colours) {
  const auto& assessment = status.assessment;
  std::string text = styled("Cluster " + cluster.name, Style::bold, colours) + "  " + version_text(assessment.latest);
  if (assessment.latest != nullptr) text += "  txn " + assessment.latest->record.txn.substr(0, 12);
  text += '\n';
  if (!assessment.majority && assessment.latest != nullptr) {
    text +=
        styled("warning: ", Style::warning, colours) + "too few witnesses answer to know the latest version for sure\n";
  }

  if (assessment.latest != nullptr) text += render_forced(assessment.latest->state, colours);

  Table members({"MEMBER", "DRIVER", "ADDRESS", "STATE", "VERSION", "LAST CONTACT", "DETAIL"});
  for (const auto& member : assessment.members) {
    const auto& things = member.who.group == txn::Group::gateway ? cluster.gateways : cluster.dns;
    const auto thing =
        std::find_if(things.begin(), things.end(), [&](const auto& other) { return other.name == member.who.name; });
    const auto known = contacted(member, status);
    members.add({txn::to_string(member.who),
                 thing == things.end() ? "-" : thing->driver,
                 thing == things.end() ? "-" : thing->address,
                 {std::string(to_string(member.standing)), style_of(member.standing)},
                 version_cell(known),
                 contact_cell(known, status.now_s),
                 detail_cell(member, known, status)});
  }
  text += '\n' + members.render(colours);
  text += '\n' + render_witnesses(witness_rows(cluster, assessment), colours);

  Table nodes({"NODE", "DRIVER", "STATE", "INSTANCES", "CPU", "MEMORY"});
  for (const auto& view : status.nodes) {
    const auto node = std::find_if(cluster.nodes.begin(), cluster.nodes.end(),
                                   [&](const model::Node& other) { return other.name == view.name; });
    const std::string driver = node == cluster.nodes.end() ? "-" : node->driver;
    if (view.problem) {
      const std::string state = node_state(view) == "lost" ? "lost: " : "unreachable: ";
      nodes.add({view.name, driver, {state + view.problem->message, Style::bad}, "?", "?", "?"});
      continue;
    }
    nodes.add({view.name, driver, state_cell(view), std::to_string(view.instances.size()),
               std::to_string(view.info.cpus), std::to_string(view.info.memory_bytes >> 20) + " MiB"});
  }
  text += '\n' + nodes.render(colours);

  if (status.services.empty()) return text + "\nNo services. Declare one in a file and `k4t apply -f FILE`.\n";
  Table services({"SERVICE", "REPLICAS", "REVISION", "REACHED AT"});
  for (const auto& service : status.services) {
    const auto running =
        std::count_if(status.instances.begin(), status.instances.end(), [&](const plan::Placed& placed) {
          return placed.service == service.name && placed.phase == runtime::Phase::running;
        });
    std::vector<std::string> reached;
    for (const auto& expose : service.expose) {
      const std::string host = expose.host.empty() ? service.name + "." + cluster.domain : expose.host;
      reached.push_back(expose.protocol == gateway::Protocol::http
                            ? "http://" + host + ":" + std::to_string(expose.listen) + expose.path
                            : "tcp://" + service.name + "." + cluster.domain + ":" + std::to_string(expose.listen));
    }
    const bool full = static_cast<std::uint32_t>(running) == service.replicas;
    services.add(
        {service.name,
         {std::to_string(running) + "/" + std::to_string(service.replicas), full ? Style::good : Style::warning},
         plan::revision_of(service),
         join(reached, " ")});
  }
  return text + '\n' + services.render(colours);
}

Json status_json(const model::Cluster& cluster, const operation::Status& status) {
  Json nodes = Json::array();
  for (const auto& view : status.nodes) {
    Json node{{"name", view.name}, {"state", node_state(view)}};
    if (view.mark) node["mark"] = *view.mark;
    if (view.problem) {
      node["problem"] = view.problem->message;
    } else {
      node["info"] = view.info;
      node["instances"] = view.instances.size();
    }
    nodes.push_back(node);
  }
  Json json{{"cluster", cluster.name},
            {"version", status.assessment.latest == nullptr ? 0 : status.assessment.latest->record.version},
            {"majority", status.assessment.majority},
            {"unfinished", status.assessment.unfinished || !status.unfinished.empty()},
            {"members", status_members_json(status)},
            {"witnesses", witnesses_json(witness_rows(cluster, status.assessment))},
            {"nodes", nodes},
            {"services", status.services},
            {"instances", status.instances}};
  if (const auto& latest = status.assessment.latest) {
    json["txn"] = latest->record.txn;
    if (latest->state.forced) json["forced"] = *latest->state.forced;
  }
  return json;
}

}  // namespace k4t::cli
