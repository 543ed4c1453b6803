#include "config/config.hpp"

#include <deque>
#include <filesystem>

#include "config/source.hpp"
#include "config/toml.hpp"

namespace k4t::config {
namespace {

/// One file in memory. Neither copied nor moved: reports point into the tree.
struct Document {
  explicit Document(const Text& text) : report(text.file), root(parse_toml(text.text, report)) {}
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;
  Report report;
  std::optional<Value> root;
};

void append(std::vector<Diagnostic>& all, const std::vector<Diagnostic>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

std::string folder_of(const std::string& file) {
  std::error_code failed;
  const auto absolute = std::filesystem::absolute(file, failed);
  return (failed ? std::filesystem::path("/") / file : absolute).parent_path().lexically_normal().string();
}

/// The item's name in Origins: what its kind is known by, else its index.
std::string item_name(const Value& item, std::size_t index) {
  for (const char* key : {"name", "id"}) {
    const Value* name = item.find(key);
    if (name != nullptr && name->kind == ValueKind::text && !name->text.empty()) return name->text;
  }
  return std::to_string(index);
}

std::string escaped(const std::string& part) { return (Json::json_pointer() / part).to_string(); }

void add_origins(const std::string& file, const Value& root, Origins& origins) {
  for (const auto& member : root.items) {
    const std::string pointer = escaped(member.key);
    if (member.kind != ValueKind::list) {
      origins.add(file, pointer, member);
      continue;
    }
    for (std::size_t i = 0; i < member.items.size(); ++i) {
      origins.add(file, pointer + escaped(item_name(member.items[i], i)), member.items[i]);
    }
  }
}

/// What was read of a file that may not have been readable.
struct Input {
  std::string file;
  std::optional<std::string> text;
  std::vector<Diagnostic> diagnostics;
};

Input from_memory(const Text& text) {
  Input input{text.file, std::nullopt, {}};
  if (check_size(text.file, text.text.size(), input.diagnostics)) input.text = text.text;
  return input;
}

Input from_file(const std::string& path) {
  Input input{path, std::nullopt, {}};
  input.text = read_source(path, input.diagnostics);
  return input;
}

Loaded<model::Cluster> cluster_of(const Input& input, const ClusterDefaults& defaults) {
  Loaded<model::Cluster> loaded;
  loaded.diagnostics = input.diagnostics;
  if (!input.text) return loaded;
  loaded.sources[input.file] = *input.text;
  Document document(Text{input.file, *input.text});
  model::Cluster cluster;
  if (document.root) {
    cluster = read_cluster(*document.root, folder_of(input.file), defaults, document.report);
    add_origins(input.file, *document.root, loaded.origins);
  }
  append(loaded.diagnostics, document.report.diagnostics());
  if (!has_errors(loaded.diagnostics)) loaded.value = std::move(cluster);
  return loaded;
}

Loaded<std::vector<model::Service>> services_of(const std::vector<Input>& inputs, const model::Cluster& cluster) {
  Loaded<std::vector<model::Service>> loaded;
  std::deque<Document> documents;
  std::vector<Declared> declared;
  for (const auto& input : inputs) {
    if (!input.text) continue;
    loaded.sources[input.file] = *input.text;
    Document& document = documents.emplace_back(Text{input.file, *input.text});
    if (!document.root) continue;
    auto services = read_services(*document.root, document.report);
    declared.insert(declared.end(), std::make_move_iterator(services.begin()), std::make_move_iterator(services.end()));
    add_origins(input.file, *document.root, loaded.origins);
  }
  check_services(declared, cluster);
  auto document = documents.begin();
  for (const auto& input : inputs) {
    append(loaded.diagnostics, input.diagnostics);
    if (input.text) append(loaded.diagnostics, (document++)->report.diagnostics());
  }
  if (has_errors(loaded.diagnostics)) return loaded;
  loaded.value.emplace();
  for (auto& each : declared) loaded.value->push_back(std::move(each.service));
  return loaded;
}

}  // namespace

std::optional<Origins::Place> Origins::find(std::string pointer) const {
  while (true) {
    if (const auto found = places_.find(pointer); found != places_.end()) return found->second;
    const auto slash = pointer.rfind('/');
    if (slash == std::string::npos) return std::nullopt;
    pointer.resize(slash);
  }
}

void Origins::add(const std::string& file, const std::string& pointer, const Value& value) {
  places_[pointer] = {file, value.at, value.key_at};
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const bool table = value.kind == ValueKind::table;
    add(file, pointer + escaped(table ? value.items[i].key : std::to_string(i)), value.items[i]);
  }
}

void Origins::merge(const Origins& other) { places_.insert(other.places_.begin(), other.places_.end()); }

Loaded<model::Cluster> load_cluster(const std::string& path, const ClusterDefaults& defaults) {
  return cluster_of(from_file(path), defaults);
}

Loaded<model::Cluster> parse_cluster(const Text& text, const ClusterDefaults& defaults) {
  return cluster_of(from_memory(text), defaults);
}

Loaded<std::vector<model::Service>> load_services(const std::vector<std::string>& paths,
                                                  const model::Cluster& cluster) {
  std::vector<Input> inputs;
  for (const auto& path : paths) inputs.push_back(from_file(path));
  return services_of(inputs, cluster);
}

Loaded<std::vector<model::Service>> parse_services(const std::vector<Text>& texts, const model::Cluster& cluster) {
  std::vector<Input> inputs;
  for (const auto& text : texts) inputs.push_back(from_memory(text));
  return services_of(inputs, cluster);
}

Loaded<Configuration> load(const std::string& cluster_path, const std::vector<std::string>& service_paths,
                           const ClusterDefaults& defaults, const std::function<void(model::Cluster&)>& complete) {
  auto cluster = load_cluster(cluster_path, defaults);
  if (complete && cluster.value) complete(*cluster.value);
  auto services = load_services(service_paths, cluster.value.value_or(model::Cluster{}));
  Loaded<Configuration> loaded;
  loaded.diagnostics = std::move(cluster.diagnostics);
  append(loaded.diagnostics, services.diagnostics);
  loaded.sources = std::move(cluster.sources);
  loaded.sources.merge(services.sources);
  loaded.origins = std::move(cluster.origins);
  loaded.origins.merge(services.origins);
  if (cluster.value && services.value) {
    loaded.value = Configuration{std::move(*cluster.value), std::move(*services.value)};
  }
  return loaded;
}

}  // namespace k4t::config
