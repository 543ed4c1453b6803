#include <algorithm>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/render.hpp"
#include "cli/render_plugin.hpp"

/// Commands about plugins: plugin ls and show, and config schema, which tells of their options.

namespace k4t::cli {
namespace {

/// `given`, else those that the configuration names; where it cannot be read, the usual ones.
std::vector<std::string> folders_of(const Globals& globals, const std::vector<std::string>& given) {
  if (!given.empty()) return given;
  const auto loaded = config::load_cluster(globals.config_path, {default_plugin_folders()});
  return loaded.ok() ? loaded.value->plugin_folders : default_plugin_folders();
}

/// The section of k4t.toml whose tables name drivers of this kind.
std::string section_of(const std::string& kind) { return kind == runtime::Kind::name ? "node" : kind; }

}  // namespace

Exit run_plugin_ls(const Globals& globals, const std::vector<std::string>& folders) {
  const auto where = folders_of(globals, folders);
  const auto catalog = plugin::Catalog::scan(where);
  bool broken = false;
  Table table({"NAME", "KIND", "VERSION", "API", "STATE", "SUMMARY"});
  for (const auto& row : catalog.rows()) {
    const bool usable = row.error.empty();
    broken = broken || !usable;
    std::string apis;
    for (const auto& api : row.apis) apis += (apis.empty() ? "" : ",") + api;
    table.add({row.name.empty() ? row.path : row.name,
               row.kind,
               row.version,
               apis,
               {usable ? "ok" : "broken", usable ? Style::good : Style::bad},
               usable ? row.summary : row.error});
  }
  if (globals.json) {
    print_json(Json(catalog.rows()));
  } else if (table.empty()) {
    std::string text;
    for (const auto& folder : where) text += (text.empty() ? "" : ", ") + folder;
    std::printf("No plugins in %s.\n", text.c_str());
  } else {
    put(stdout, table.render(terminal_of(stdout).colours));
  }
  return broken ? Exit::failed : Exit::done;
}

Exit run_plugin_show(const Globals& globals, const std::string& name, const std::vector<std::string>& folders) {
  const auto catalog = plugin::Catalog::scan(folders_of(globals, folders));
  const auto terminal = terminal_of(stdout);
  constexpr unsigned readable_columns = 100;
  std::string known;
  std::string text;
  Json json = Json::array();
  for (const auto& library : catalog.libraries()) {
    const auto& manifest = library->manifest();
    if (manifest.name == name) {
      text += (text.empty() ? "" : "\n") + render_plugin(manifest, library->path().string(),
                                                         std::min(terminal.width, readable_columns), terminal.colours);
      json.push_back(plugin_json(manifest, library->path().string()));
    }
    known += (known.empty() ? "" : ", ") + manifest.name;
  }
  if (text.empty()) {
    print_error(globals, {Status::not_found,
                          "there is no driver '" + name + "'; there " + (known.empty() ? "are none" : "are: " + known),
                          "`k4t plugin ls` tells of those that cannot be used, too"});
    return Exit::failed;
  }
  if (globals.json) {
    print_json(json);
  } else {
    put(stdout, text);
  }
  return Exit::done;
}

Exit run_config_schema(const Globals& globals, const std::string& which) {
  if (which == "service") {
    print_json(config::service_schema());
    return Exit::done;
  }
  std::vector<config::DriverOptions> drivers;
  for (const auto& library : plugin::Catalog::scan(folders_of(globals, {})).libraries()) {
    const auto& manifest = library->manifest();
    drivers.push_back({section_of(manifest.kind), manifest.name, manifest.options_schema});
  }
  print_json(config::cluster_schema(drivers));
  return Exit::done;
}

}  // namespace k4t::cli
