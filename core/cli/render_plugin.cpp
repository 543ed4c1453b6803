#include "cli/render_plugin.hpp"

#include <algorithm>
#include <sstream>
#include <vector>

#include "cli/console.hpp"
#include "config/option_words.hpp"

namespace k4t::cli {
namespace {

/// Words joined to lines of at most `width` columns, each with `indent` blanks before it.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t width) {
  std::istringstream words(printable(text));
  std::string all;
  std::string line;
  for (std::string word; words >> word;) {
    if (!line.empty() && indent + columns_of(line) + 1 + columns_of(word) > width) {
      all += std::string(indent, ' ') + line + '\n';
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return line.empty() ? all : all + std::string(indent, ' ') + line + '\n';
}

class Options {
 public:
  Options(std::size_t width, bool colours) : width_(width), colours_(colours) {}

  /// The properties of a table and those of the tables in it. `before`: what their names begin with.
  void add(const Json& table, const std::string& before) {
    const Json& required = config::schema_part(table, "required");
    const Json& properties = config::schema_part(table, "properties");
    if (!properties.is_object()) return;
    for (const auto& [name, schema] : properties.items()) {
      const bool needed = required.is_array() && std::find(required.begin(), required.end(), name) != required.end();
      add_one(before + name, schema, needed);
      add(schema, before + name + ".");
      add(config::schema_part(schema, "items"), before + name + "[].");
    }
  }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void add_one(const std::string& name, const Json& schema, bool needed) {
    std::string about = config::describe_value(schema);
    if (needed) about += ", needed";
    if (schema.is_object() && schema.contains("default")) about += ", default " + schema.at("default").dump();
    if (config::schema_part(schema, "items").contains("k4t-file") ||
        (schema.is_object() && schema.contains("k4t-file")))
      about += ", kept in encrypted copies";
    text_ += "  " + styled(printable(name), Style::bold, colours_) + "  " +
             styled(printable(about), Style::dim, colours_) + '\n' +
             wrapped(config::schema_text(schema, "description"), 6, width_);
  }

  std::size_t width_;
  bool colours_;
  std::string text_;
};

}  // namespace

std::string render_plugin(const Manifest& manifest, const std::string& path, std::size_t width, bool colours) {
  const std::string title = manifest.name + ", a " + manifest.kind + " driver, version " + manifest.version;
  std::string text = styled(printable(title), Style::bold, colours) + '\n' + wrapped(manifest.summary, 0, width);
  text += styled(printable(path), Style::dim, colours) + '\n';
  std::string can;
  for (const auto& capability : manifest.capabilities) can += (can.empty() ? "" : ", ") + capability;
  if (!can.empty()) text += "\nCan\n" + wrapped(can, 2, width);
  Options options(width, colours);
  if (manifest.options_schema.is_object()) options.add(manifest.options_schema, "");
  return text + (options.text().empty() ? "\nIt has no options.\n" : "\nOptions\n" + options.text());
}

Json plugin_json(const Manifest& manifest, const std::string& path) {
  Json json = manifest;
  json["path"] = path;
  return json;
}

}  // namespace k4t::cli
