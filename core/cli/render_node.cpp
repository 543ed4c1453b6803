#include "cli/render_node.hpp"

#include <iomanip>
#include <map>
#include <sstream>

#include "cli/console.hpp"
#include "cli/render.hpp"
#include "cli/render_txn.hpp"
#include "txn/ports.hpp"

namespace k4t::cli {
namespace {

using operation::NodeSight;

Style style_of(const std::string& state) {
  if (state == "ready") return Style::good;
  return state == "unreachable" || state == "lost" ? Style::bad : Style::warning;
}

/// What of a node is offered to instances, what of that is promised to them; absent: not known.
struct Room {
  std::optional<std::uint64_t> cpu_offered_millis;
  std::optional<std::uint64_t> memory_offered_bytes;
  std::uint64_t cpu_promised_millis = 0;
  std::uint64_t memory_promised_bytes = 0;
};

/// As it is, or as it was last known.
Room room_of(const NodeSight& node) {
  Room room;
  const runtime::NodeInfo* info = !node.view.problem ? &node.view.info : node.last ? &node.last->info : nullptr;
  if (info != nullptr) {
    room.cpu_offered_millis = std::uint64_t{info->cpus} * 1000;
    room.memory_offered_bytes = info->memory_bytes;
  }
  if (node.config.cpu_millis) room.cpu_offered_millis = *node.config.cpu_millis;
  if (node.config.memory_bytes) room.memory_offered_bytes = *node.config.memory_bytes;
  const auto promise = [&room](std::uint64_t cpu_millis, std::uint64_t memory_bytes) {
    room.cpu_promised_millis += cpu_millis;
    room.memory_promised_bytes += memory_bytes;
  };
  if (node.view.problem) {
    for (const auto& placed : node.instances) promise(placed.cpu_millis, placed.memory_bytes);
  } else {
    for (const auto& instance : node.view.instances) promise(instance.cpu_millis, instance.memory_bytes);
  }
  return room;
}

std::size_t instance_count(const NodeSight& node) {
  return node.view.problem ? node.instances.size() : node.view.instances.size();
}

/// Anything was ever read there.
bool is_known(const NodeSight& node) { return !node.view.problem || node.last || !node.instances.empty(); }

std::string fixed(double number, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << number;
  return text.str();
}

/// 1500 → "1.5"
std::string cores(std::uint64_t millis) {
  std::string text = std::to_string(millis / 1000);
  if (millis % 1000 == 0) return text;
  std::string rest = std::to_string(1000 + millis % 1000).substr(1);
  while (rest.back() == '0') rest.pop_back();
  return text + '.' + rest;
}

std::string cpu_text(const Room& room) {
  return cores(room.cpu_promised_millis) + '/' + (room.cpu_offered_millis ? cores(*room.cpu_offered_millis) : "?");
}

std::string memory_text(const Room& room) {
  const std::string offered = room.memory_offered_bytes ? std::to_string(*room.memory_offered_bytes >> 20) : "?";
  return std::to_string(room.memory_promised_bytes >> 20) + '/' + offered + " MiB";
}

/// "12.3/40.0 GiB"; "?" where it is not known.
std::string disk_text(const NodeSight& node) {
  if (!node.usage || !node.usage->disk_bytes || !node.usage->disk_used_bytes) return "?";
  const auto gibibytes = [](std::uint64_t bytes) { return fixed(static_cast<double>(bytes) / (1u << 30), 1); };
  return gibibytes(*node.usage->disk_used_bytes) + '/' + gibibytes(*node.usage->disk_bytes) + " GiB";
}

std::string load_text(const NodeSight& node) {
  return node.usage && node.usage->load ? fixed(*node.usage->load, 2) : "?";
}

std::string memory_used_text(const NodeSight& node) {
  if (!node.usage || !node.usage->memory_used_bytes) return "?";
  return std::to_string(*node.usage->memory_used_bytes >> 20) + " MiB";
}

/// What is known now, or what was: "?, was 3".
std::string now_or_before(const NodeSight& node, const std::string& text) {
  if (!node.view.problem) return text;
  return is_known(node) ? "?, was " + text : "?";
}

std::string runtime_text(const NodeSight& node) {
  if (!node.view.problem) return node.view.info.runtime_version;
  return node.last ? "?, was " + node.last->info.runtime_version : "?";
}

std::string contact_text(const NodeSight& node, std::int64_t now_s) {
  if (!node.view.problem) return "now";
  return node.last ? human_age(now_s - node.last->at_s) + " ago" : "never";
}

/// The cause without the node's name, which stands beside it.
std::string problem_text(const NodeSight& node) {
  const std::string& text = node.view.problem->message;
  const std::string prefix = "node '" + node.config.name + "': ";
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

/// The state with the shortest word on why.
std::string state_text(const NodeSight& node) {
  const auto& mark = node.view.mark;
  std::string text = node_state(node.view);
  if (node.view.problem && text != "lost" && mark) text += ", " + std::string(to_string(mark->mark));
  if (node.view.problem) return text + ": " + problem_text(node);
  return mark && !mark->why.empty() ? text + ": " + mark->why : text;
}

std::string labels_text(const std::map<std::string, std::string>& labels) {
  std::string text;
  for (const auto& [key, value] : labels) text += (text.empty() ? "" : " ") + key + '=' + value;
  return text;
}

std::string ports_text(const model::Node& node) {
  return std::to_string(node.first_port) + '-' + std::to_string(node.last_port);
}

std::string public_ports_text(const model::Node& node) {
  return std::to_string(node.public_port(node.first_port)) + '-' + std::to_string(node.public_port(node.last_port));
}

Json room_json(const NodeSight& node) {
  const Room room = room_of(node);
  Json json{{"instances", instance_count(node)},
            {"cpu_promised_millis", room.cpu_promised_millis},
            {"memory_promised_bytes", room.memory_promised_bytes}};
  if (room.cpu_offered_millis) json["cpu_offered_millis"] = *room.cpu_offered_millis;
  if (room.memory_offered_bytes) json["memory_offered_bytes"] = *room.memory_offered_bytes;
  if (node.usage) json["usage"] = *node.usage;
  return json;
}

void add_info(const runtime::NodeInfo& info, Json& json) {
  json["runtime_version"] = info.runtime_version;
  json["os"] = info.os;
  json["architecture"] = info.architecture;
}

/// Of a node that cannot be read.
Json last_known_json(const NodeSight& node) {
  Json json = room_json(node);
  if (!node.last) return json;
  json["at_s"] = node.last->at_s;
  add_info(node.last->info, json);
  return json;
}

Json summary_json(const NodeSight& node) {
  Json json{{"name", node.config.name},
            {"state", node_state(node.view)},
            {"from", node.added ? "node add" : "k4t.toml"},
            {"address", node.config.address},
            {"driver", node.config.driver},
            {"ports", ports_text(node.config)},
            {"labels", node.config.labels}};
  if (!node.config.subnet.empty()) json["subnet"] = node.config.subnet;
  if (!node.config.public_address.empty()) {
    json["public_address"] = node.config.public_address;
    json["public_ports"] = public_ports_text(node.config);
  }
  if (node.view.mark) json["mark"] = *node.view.mark;
  if (node.view.problem) {
    json["why"] = problem_text(node);
    if (is_known(node)) json["last_known"] = last_known_json(node);
    return json;
  }
  json.update(room_json(node));
  add_info(node.view.info, json);
  return json;
}

/// "name   value" lines that line up.
class Lines {
 public:
  explicit Lines(bool colours) : colours_(colours) {}
  void add(const std::string& name, const std::string& value, Style style = Style::plain) {
    constexpr std::size_t width = 14;
    text_ += styled(name, Style::dim, colours_) + std::string(width - name.size(), ' ') +
             styled(printable(value), style, colours_) + '\n';
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  bool colours_;
  std::string text_;
};

}  // namespace

std::string node_state(const plan::NodeView& view) {
  const auto is = [&view](model::Mark mark) { return view.mark && view.mark->mark == mark; };
  if (is(model::Mark::lost)) return view.problem ? "lost" : "returned";
  if (view.problem) return "unreachable";
  if (is(model::Mark::draining)) return view.instances.empty() ? "drained" : "draining";
  return is(model::Mark::cordoned) ? "cordoned" : "ready";
}

std::string mark_text(const model::NodeMark& mark) {
  const std::string by = txn::describe_holder(mark.by);
  return mark.why.empty() ? by : by + ": " + mark.why;
}

std::string render_nodes(const std::vector<NodeSight>& nodes, std::int64_t now_s, bool colours) {
  Table table(
      {"NODE", "STATE", "ADDRESS", "DRIVER", "RUNTIME", "INSTANCES", "CPU", "MEMORY", "DISK", "CONTACT", "LABELS"});
  for (const auto& node : nodes) {
    const Room room = room_of(node);
    table.add({node.config.name,
               {state_text(node), style_of(node_state(node.view))},
               node.config.address,
               node.config.driver,
               runtime_text(node),
               now_or_before(node, std::to_string(instance_count(node))),
               now_or_before(node, cpu_text(room)),
               now_or_before(node, memory_text(room)),
               disk_text(node),
               contact_text(node, now_s),
               labels_text(node.config.labels)});
  }
  return table.render(colours);
}

Json nodes_json(const std::vector<NodeSight>& nodes) {
  Json json = Json::array();
  for (const auto& node : nodes) json.push_back(summary_json(node));
  return json;
}

std::string render_node(const NodeSight& node, std::int64_t now_s, bool colours) {
  const Room room = room_of(node);
  Lines lines(colours);
  lines.add("node", node.config.name + (node.added ? ", added by `k4t node add`" : ", of k4t.toml"));
  lines.add("state", state_text(node), style_of(node_state(node.view)));
  if (node.view.mark) lines.add(std::string(to_string(node.view.mark->mark)), "by " + mark_text(*node.view.mark));
  lines.add("address", node.config.address + ", ports " + ports_text(node.config));
  if (!node.config.subnet.empty()) lines.add("subnet", node.config.subnet);
  if (!node.config.public_address.empty()) {
    lines.add("public", node.config.public_address + ", ports " + public_ports_text(node.config));
  }
  lines.add("driver", node.config.driver);
  lines.add("runtime", runtime_text(node));
  const runtime::NodeInfo* info = !node.view.problem ? &node.view.info : node.last ? &node.last->info : nullptr;
  if (info != nullptr) lines.add("machine", now_or_before(node, info->os + ", " + info->architecture));
  lines.add("cpu", now_or_before(node, cpu_text(room) + " promised") + ", load " + load_text(node));
  lines.add("memory", now_or_before(node, memory_text(room) + " promised") + ", in use " + memory_used_text(node));
  lines.add("disk", "in use " + disk_text(node));
  if (!node.config.labels.empty()) lines.add("labels", labels_text(node.config.labels));
  lines.add("contact", contact_text(node, now_s));
  std::string text = lines.text();
  std::vector<std::string> warnings = node.odd_labels;
  if (!node.view.problem)
    warnings.insert(warnings.begin(), node.view.info.warnings.begin(), node.view.info.warnings.end());
  for (const auto& warning : warnings) {
    text += styled("warning: ", Style::warning, colours) + printable(warning) + '\n';
  }
  if (node.view.problem && !is_known(node)) return text;
  return text + '\n' + (node.view.problem ? "Last known:\n" : "") + render_instances(node.instances, now_s, colours);
}

Json node_json(const NodeSight& node) {
  Json json = summary_json(node);
  if (node.view.problem) {
    if (is_known(node)) json["last_known"]["instances"] = node.instances;
    return json;
  }
  json["instances"] = node.instances;
  json["warnings"] = node.view.info.warnings;
  for (const auto& odd : node.odd_labels) json["warnings"].push_back(odd);
  return json;
}

}  // namespace k4t::cli
