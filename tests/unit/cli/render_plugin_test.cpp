#include "cli/render_plugin.hpp"

#include <gtest/gtest.h>

#include "k4t/options.hpp"

namespace k4t::cli {
namespace {

Manifest manifest_of(Json schema) {
  Manifest manifest;
  manifest.name = "box";
  manifest.kind = "gateway";
  manifest.version = "1.2";
  manifest.summary = "A gateway in a box";
  manifest.capabilities = {"http", "tcp"};
  manifest.options_schema = std::move(schema);
  return manifest;
}

TEST(RenderPlugin, TellsEachOptionWithItsKindDefaultAndMeaning) {
  const Json schema = option::schema(
      {{"port", option::port("TCP port of its API.", 8080)},
       {"name", option::text("What the box calls itself, which is on its front in white letters.")},
       {"key", option::file("What opens it.")},
       {"ssh", option::table("How it is reached.", {{"jump", option::list("", option::file(""))}})},
       {"logins", option::list("Who may.", option::table("", {{"user", option::text("Who.")}}, {"user"}))},
       {"safe", {{"type", "boolean"}, {"default", true}}},
       {"any", Json::object()}},
      {"name"});
  EXPECT_EQ(render_plugin(manifest_of(schema), "/lib/box.so", 50, false),
            "box, a gateway driver, version 1.2\n"
            "A gateway in a box\n"
            "/lib/box.so\n"
            "\n"
            "Can\n"
            "  http, tcp\n"
            "\n"
            "Options\n"
            "  any  any value\n"
            "  key  an absolute path, kept in encrypted copies\n"
            "      What opens it.\n"
            "  logins  a list of tables\n"
            "      Who may.\n"
            "  logins[].user  text, needed\n"
            "      Who.\n"
            "  name  text, needed\n"
            "      What the box calls itself, which is on its\n"
            "      front in white letters.\n"
            "  port  a number from 1 to 65535, default 8080\n"
            "      TCP port of its API.\n"
            "  safe  true or false, default true\n"
            "  ssh  a table\n"
            "      How it is reached.\n"
            "  ssh.jump  a list of absolute paths, kept in encrypted copies\n");
}

TEST(RenderPlugin, SaysThatThereIsNoOption) {
  auto manifest = manifest_of(Json::object());
  manifest.capabilities.clear();
  EXPECT_EQ(render_plugin(manifest, "/lib/box.so", 80, false),
            "box, a gateway driver, version 1.2\nA gateway in a box\n/lib/box.so\n\nIt has no options.\n");
}

/// Its manifest is a driver's word, and so is the schema in it.
TEST(RenderPlugin, ShowsASchemaOfAnyShapeAndNothingThatMovesTheCursor) {
  for (const char* odd :
       {R"([1, 2])", R"("text")", R"(null)", R"({"properties": 3})", R"({"properties": {"a": 1}})",
        R"({"properties": {"a": null}, "required": "a"})",
        R"({"properties": {"a": {"type": ["string"], "description": 7, "items": [], "minimum": {}}}})",
        R"({"properties": {"a": {"type": "integer", "minimum": "x", "maximum": []}}})"}) {
    EXPECT_NE(render_plugin(manifest_of(Json::parse(odd)), "/lib/box.so", 80, false), "") << odd;
  }
  const Json schema{{"properties", {{"a\x1b[2J", {{"description", "b\x1b[2J"}, {"default", "c\x1b"}}}}}};
  EXPECT_EQ(render_plugin(manifest_of(schema), "/lib/\x1b", 80, false).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace k4t::cli
