#include "cli/render_status.hpp"

#include <algorithm>
#include <utility>

#include "cli/render.hpp"
#include "cli/render_node.hpp"
#include "cli/render_txn.hpp"

namespace k4t::cli {
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

template <class Thing>
std::pair<std::string, std::string> driver_and_address(const std::vector<Thing>& things, const std::string& name) {
  const auto thing = std::find_if(things.begin(), things.end(), [&](const auto& one) { return one.name == name; });
  if (thing == things.end()) return {"-", "-"};
  return {thing->driver, thing->address};
}

Table::Row member_cells(const model::Cluster& cluster, const txn::Member& member, const operation::Status& status) {
  const auto& things = member.who.group == txn::Group::gateway ? cluster.gateways : cluster.dns;
  const auto [driver, address] = driver_and_address(things, member.who.name);
  const auto known = contacted(member, status);
  return {txn::to_string(member.who),
          driver,
          address,
          {std::string(to_string(member.standing)), style_of_standing(member.standing)},
          version_cell(known),
          contact_cell(known, status.now_s),
          detail_cell(member, known, status)};
}

Table::Row node_cells(const model::Cluster& cluster, const plan::NodeView& view) {
  const std::string driver = driver_and_address(cluster.nodes, view.name).first;
  if (view.problem) {
    const std::string state = node_state(view) == "lost" ? "lost: " : "unreachable: ";
    return {view.name, driver, {state + view.problem->message, Style::bad}, "?", "?", "?"};
  }
  return {view.name,
          driver,
          state_cell(view),
          std::to_string(view.instances.size()),
          std::to_string(view.info.cpus),
          std::to_string(view.info.memory_bytes >> 20) + " MiB"};
}

std::string render_services(const model::Cluster& cluster, const operation::Status& status, bool colours) {
  if (status.services.empty()) return "\nNo services. Declare one in a file and `k4t apply -f FILE`.\n";
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
  return '\n' + services.render(colours);
}

std::string witness_name(const std::string& id) { return "witness " + id; }
std::string node_name(const std::string& name) { return "node " + name; }

}  // namespace

StatusPage::StatusPage(const model::Cluster& cluster, bool colours)
    : cluster_(cluster),
      colours_(colours),
      members_{Table({"MEMBER", "DRIVER", "ADDRESS", "STATE", "VERSION", "LAST CONTACT", "DETAIL"})},
      witnesses_{witness_table()},
      nodes_{Table({"NODE", "DRIVER", "STATE", "INSTANCES", "CPU", "MEMORY"})},
      sections_{&members_, &witnesses_, &nodes_} {}

void StatusPage::begin(const operation::Status& known) {
  known_ = known;
  for (const auto& view : known.nodes) nodes_.lines.push_back({node_name(view.name), node_cells(cluster_, view)});
  nodes_.listed = true;
}

void StatusPage::decided(const txn::Assessment& assessment) {
  if (std::exchange(decided_, true)) return;
  known_.assessment = assessment;
  for (const auto& member : assessment.members) {
    members_.lines.push_back({txn::to_string(member.who), member_cells(cluster_, member, known_)});
  }
  members_.listed = true;
  learn_witnesses();
  witnesses_.listed = true;
}

void StatusPage::witness(const txn::Peeked& witness) {
  heard_.insert(witness.at.id);
  if (!decided_) return;
  for (auto& one : known_.assessment.witnesses) {
    if (one.at.id == witness.at.id) one = witness;
  }
  learn_witnesses();
}

void StatusPage::learn_witnesses() {
  for (auto row : witness_rows(cluster_, known_.assessment)) {
    const bool known = heard_.contains(row.at.id) || row.state == "not asked";
    if (known) {
      learn(witnesses_, witness_name(row.at.id), witness_cells(row));
    } else if (!witnesses_.listed) {
      row.state = "answers";
      row.why.clear();
      witnesses_.lines.push_back({witness_name(row.at.id), witness_cells(row)});
    }
  }
}

void StatusPage::member(const txn::Member& member) {
  learn(members_, txn::to_string(member.who), member_cells(cluster_, member, known_));
}

void StatusPage::node(const plan::NodeView& node) {
  plan::NodeView marked = node;
  for (const auto& known : known_.nodes) {
    if (known.name == node.name) marked.mark = known.mark;
  }
  learn(nodes_, node_name(node.name), node_cells(cluster_, marked));
}

void StatusPage::learn(Section& section, const std::string& who, Table::Row cells) {
  auto line = std::find_if(section.lines.begin(), section.lines.end(), [&](const Line& one) { return one.who == who; });
  if (line == section.lines.end()) line = section.lines.insert(line, Line{who, {}});
  if (line->printed) return;
  line->cells = std::move(cells);
  line->known = true;
}

void StatusPage::print_header(Section& section, std::string& text) {
  if (under_ == &section) return;
  under_ = &section;
  if (!std::exchange(section.printed, true)) {
    for (const auto& line : section.lines) section.table.fit(line.cells);
  }
  text += '\n' + section.table.render_header(colours_);
}

void StatusPage::print(Section& section, Line& line, std::string& text) {
  print_header(section, text);
  text += section.table.render_row(line.cells, colours_);
  line.printed = true;
}

/// False: a line is not known yet, and no other section's turn has come.
bool StatusPage::print_in_order(Section& section, std::string& text) {
  if (!section.listed) return false;
  for (auto& line : section.lines) {
    if (line.printed) continue;
    if (!line.known) return false;
    print(section, line, text);
  }
  if (!section.printed) print_header(section, text);
  return true;
}

void StatusPage::print_known(Section& section, std::string& text) {
  for (auto& line : section.lines) {
    if (line.known && !line.printed) print(section, line, text);
  }
}

std::string StatusPage::take() {
  std::string text;
  if (decided_ && !std::exchange(head_printed_, true)) {
    text = (let_go_ ? "\n" : "") + head();
    under_ = nullptr;
  }
  if (!head_printed_ && !let_go_) return text;
  for (auto* section : sections_) {
    if (let_go_) {
      print_known(*section, text);
    } else if (!print_in_order(*section, text)) {
      break;
    }
  }
  return text;
}

bool StatusPage::holds_back() const {
  if (let_go_) return false;
  const auto held = [](const Line& line) { return line.known && !line.printed; };
  return std::any_of(sections_.begin(), sections_.end(), [&](const Section* section) {
    return std::any_of(section->lines.begin(), section->lines.end(), held);
  });
}

std::string StatusPage::let_go() {
  let_go_ = true;
  std::string text;
  if (!head_printed_) text = styled("Cluster " + cluster_.name, Style::bold, colours_) + '\n';
  text += take();
  under_ = nullptr;
  return text + '\n' + styled("Still waiting for " + waiting(), Style::dim, colours_) + '\n';
}

std::string StatusPage::finish(const operation::Status& status) {
  decided(status.assessment);
  known_.assessment.witnesses = status.assessment.witnesses;
  for (const auto& one : status.assessment.witnesses) heard_.insert(one.at.id);
  learn_witnesses();
  for (const auto& one : status.assessment.members) member(one);
  for (const auto& one : status.nodes) node(one);
  std::string text = take();
  if (version_text(known_.assessment.latest) != version_text(status.assessment.latest)) {
    text += '\n' + styled("warning: ", Style::warning, colours_) + version_text(status.assessment.latest) +
            " was decided meanwhile; look again\n";
  }
  return text + render_services(cluster_, status, colours_);
}

/// The first lines, about the cluster as a whole.
std::string StatusPage::head() const {
  const auto& assessment = known_.assessment;
  std::string text = styled("Cluster " + cluster_.name, Style::bold, colours_) + "  " + version_text(assessment.latest);
  if (assessment.latest != nullptr) text += "  txn " + assessment.latest->record.txn.substr(0, 12);
  text += '\n';
  if (assessment.latest == nullptr) return text;
  if (!assessment.majority) {
    text += styled("warning: ", Style::warning, colours_) +
            "too few witnesses answer to know the latest version for sure\n";
  }
  return text + render_forced(assessment.latest->state, colours_);
}

/// Those that have not answered, by name as far as it is known who they are.
std::string StatusPage::waiting() const {
  std::vector<std::string> names;
  if (!decided_) names.emplace_back("the witnesses, and gateways and DNS servers after them");
  for (const auto* section : sections_) {
    for (const auto& line : section->lines) {
      if (!line.known) names.push_back(line.who);
    }
  }
  return join(names, ", ");
}

std::string render_status(const model::Cluster& cluster, const operation::Status& status, bool colours) {
  StatusPage text(cluster, colours);
  text.begin(status);
  return text.finish(status);
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
