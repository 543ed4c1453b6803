#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/cluster_file.hpp"
#include "config/diagnostic.hpp"
#include "config/service_file.hpp"
#include "model/cluster.hpp"
#include "model/service.hpp"

/// Reads k4t.toml and service files. One call reports everything that is wrong with all of its files, apart from what
/// comes after a TOML syntax error in the same file. Values are taken literally: nothing like $HOME or ${NAME} is
/// expanded. Nothing here changes a file or talks to a server; all functions are thread-safe.

namespace k4t::config {

/// Where values stand in the files, by a pointer in which items of a list go by their name:
/// "/gateway/edge-1/options/port", "/service/web/expose/0/listen".
class Origins {
 public:
  struct Place {
    std::string file;
    Position at;      ///< the value
    Position key_at;  ///< its key
  };

  /// The place of the value, or of the nearest one around it that is known; absent: nothing around it is.
  [[nodiscard]] std::optional<Place> find(std::string pointer) const;

  /// Adds the value with all that is in it.
  void add(const std::string& file, const std::string& pointer, const Value& value);
  void merge(const Origins& other);

 private:
  std::map<std::string, Place> places_;
};

/// What reading gave. `diagnostics` are sorted by file (in the order given) and place.
template <class T>
struct Loaded {
  std::optional<T> value;  ///< present exactly when no diagnostic is an error
  std::vector<Diagnostic> diagnostics;
  Sources sources;
  Origins origins;

  [[nodiscard]] bool ok() const { return value.has_value(); }
};

/// A file's content under the name that messages give it; relative paths begin at that name's folder.
struct Text {
  std::string file;
  std::string text;
};

Loaded<model::Cluster> load_cluster(const std::string& path, const ClusterDefaults& defaults = {});
Loaded<model::Cluster> parse_cluster(const Text& text, const ClusterDefaults& defaults = {});

/// The services of all files together, in their order. A cluster without nodes stands for one that could not be read:
/// then only what the services say of each other is checked.
Loaded<std::vector<model::Service>> load_services(const std::vector<std::string>& paths, const model::Cluster& cluster);
Loaded<std::vector<model::Service>> parse_services(const std::vector<Text>& texts, const model::Cluster& cluster);

/// Everything that a command reads.
struct Configuration {
  model::Cluster cluster;
  std::vector<model::Service> services;
};

/// load_cluster and load_services in one: a broken cluster file does not hide what is wrong with the services.
/// `complete` adds to the cluster what other places say of it, before services are held against it.
Loaded<Configuration> load(const std::string& cluster_path, const std::vector<std::string>& service_paths,
                           const ClusterDefaults& defaults = {},
                           const std::function<void(model::Cluster&)>& complete = {});

/// A node in words, as on a command line.
struct NodeWords {
  std::map<std::string, std::string> keys;  ///< by the name of the key in a [[node]] table
  std::map<std::string, std::string> labels;
  Json options = Json::object();
};
/// INVALID_ARGUMENT: the first thing that is wrong, and the remedy.
Result<model::Node> read_node(const NodeWords& words);

/// Checks `thing.options` with the schema of its driver's manifest (Manifest::options_schema). `section` is "node",
/// "gateway" or "dns"; `origins` those of the cluster's Loaded. Empty: nothing is wrong.
std::vector<Diagnostic> check_options(const Origins& origins, std::string_view section, const model::Driven& thing,
                                      const Json& schema);

/// The files of this machine that the options name, by what their schema says of them (Manifest::options_schema).
std::set<std::string> named_files(const Json& options, const Json& schema);

/// What is wrong with a witness on a DNS server whose driver has no such capability.
Diagnostic cannot_witness(const Origins& origins, const model::Witness& witness, const std::string& driver);

}  // namespace k4t::config
