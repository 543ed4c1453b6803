#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <regex>
#include <set>

#include "config/message_ids.hpp"
#include "samples.hpp"

namespace k4t::config::testing {
namespace {

struct Section {
  std::string title;
  Json schema;
};

/// All tables of a schema, a table before those in it.
void collect(const Json& schema, const std::string& path, std::vector<Section>& sections) {
  for (const auto& [key, part] : schema["properties"].items()) {
    const bool list = part.value("type", "") == "array";
    const Json& table = list ? part["items"] : part;
    if (!table.contains("properties")) continue;
    const std::string inner = path.empty() ? key : path + '.' + key;
    sections.push_back({list ? "[[" + inner + "]]" : '[' + inner + ']', table});
    collect(table, inner, sections);
  }
}

std::string row(const std::string& key, const Json& part, bool required) {
  const std::string standard = required                   ? "required"
                               : part.contains("default") ? '`' + part["default"].dump() + '`'
                                                          : "";
  // Markdown would take <service> for HTML.
  const std::string meaning = std::regex_replace(part["description"].get<std::string>(), std::regex("<"), "&lt;");
  return "| `" + key + "` | " + meaning + " | " + standard + " |\n";
}

std::string reference() {
  std::vector<Section> sections;
  collect(cluster_schema(), "", sections);
  collect(service_schema(), "", sections);
  std::string text;
  for (const auto& [title, schema] : sections) {
    const auto required = schema.value("required", std::set<std::string>{});
    text += "\n### `" + title + "`\n\n| key | meaning | default |\n|---|---|---|\n";
    for (const auto& [key, part] : schema["properties"].items()) text += row(key, part, required.contains(key));
  }
  return text;
}

TEST(DocumentationTest, ExamplesLoadWithoutADiagnostic) {
  std::vector<std::string> services;
  for (const auto& path : example_services()) services.push_back(K4T_SOURCE_DIR "/" + path);
  const auto loaded = load(K4T_SOURCE_DIR "/config/k4t.toml", services);
  EXPECT_EQ(render_plain(loaded.diagnostics), "");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.value->cluster.nodes.size(), 2u);
  EXPECT_EQ(loaded.value->services.size(), 3u);
}

TEST(DocumentationTest, ExamplesShowEveryKey) {
  const auto check = [](const Json& schema, const std::string& text) {
    std::vector<Section> sections = {{"", schema}};
    collect(schema, "", sections);
    for (const auto& [title, table] : sections) {
      for (const auto& [key, part] : table["properties"].items()) {
        EXPECT_TRUE(std::regex_search(text, std::regex("(^|[^a-z_])" + key + "( =|\\]|\\.)"))) << title << ' ' << key;
      }
    }
  };
  check(cluster_schema(), read_repository_file("config/k4t.toml"));
  std::string services;
  for (const auto& path : example_services()) services += read_repository_file(path);
  check(service_schema(), services);
}

TEST(DocumentationTest, ReferenceIsThatOfTheSchema) {
  const std::string text = read_repository_file("docs/configuration.md");
  const std::string heading = "## Keys\n";
  const auto at = text.find(heading);
  ASSERT_NE(at, std::string::npos);
  const std::string expected = reference();
  const std::string generated = K4T_BINARY_DIR "/configuration-keys.md";
  std::ofstream(generated) << expected;
  EXPECT_TRUE(text.substr(at + heading.size()) == expected)
      << "replace what follows \"## Keys\" in docs/configuration.md by " << generated;
}

TEST(DocumentationTest, EveryMessageIsExplainedOnce) {
  const std::string text = read_repository_file("docs/messages.md");
  std::multiset<std::string> explained;
  const std::regex line("\\| (K4T-CFG-[0-9]{3}) \\| [^|]+ \\| [^|]+ \\|\n");
  for (auto each = std::sregex_iterator(text.begin(), text.end(), line); each != std::sregex_iterator(); ++each) {
    explained.insert((*each)[1].str());
  }
  EXPECT_EQ(explained, std::multiset<std::string>(id::all.begin(), id::all.end()));
}

}  // namespace
}  // namespace k4t::config::testing
