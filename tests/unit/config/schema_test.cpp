#include <gtest/gtest.h>

#include <functional>

#include "config/toml.hpp"
#include "platform/json_schema.hpp"
#include "samples.hpp"

namespace k4t::config::testing {
namespace {

using Pointer = Json::json_pointer;

Json json_of(const std::string& toml) {
  Report report("sample.toml");
  const auto value = parse_toml(toml, report);
  EXPECT_TRUE(value) << brief(report.diagnostics());
  return value ? to_json(*value) : Json();
}

/// The document as TOML, with inline tables only.
std::string toml_of(const Json& value, bool top = true) {
  if (value.is_array()) {
    std::string text = "[";
    for (const auto& item : value) text += toml_of(item, false) + ", ";
    return text + ']';
  }
  if (!value.is_object()) return value.dump();
  std::string text;
  for (const auto& [key, member] : value.items()) {
    text += (text.empty() || top ? "" : ", ") + Json(key).dump() + " = " + toml_of(member, false) + (top ? "\n" : "");
  }
  return top ? text : '{' + text + '}';
}

/// One of the two kinds of file: an example, its schema, and what the parser says.
struct Kind {
  Json example;
  platform::JsonSchema schema;
  std::function<std::string(const std::string&)> errors;
};

platform::JsonSchema compiled(const Json& schema) { return *platform::JsonSchema::compile(schema); }

std::vector<Kind> kinds() {
  std::vector<Kind> all;
  all.push_back(
      {json_of(read_repository_file("config/k4t.toml")), compiled(cluster_schema()), [](const std::string& text) {
         const auto loaded = parse_cluster_text(text);
         return loaded.ok() ? std::string() : brief(loaded.diagnostics);
       }});
  for (const auto& path : example_services()) {
    all.push_back({json_of(read_repository_file(path)), compiled(service_schema()), [](const std::string& text) {
                     const auto loaded = parse_service_text(text);
                     return loaded.ok() ? std::string() : brief(loaded.diagnostics);
                   }});
  }
  return all;
}

bool fits(const Kind& kind, const Json& document) { return kind.schema.validate(document).empty(); }

/// Calls `visit` for every value in the document, apart from what only the drivers know.
void each_value(const Json& value, const Pointer& at, const std::function<void(const Pointer&)>& visit) {
  visit(at);
  if (!value.is_structured() || (!at.empty() && at.back() == "options")) return;
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) each_value(member, at / key, visit);
  } else {
    for (std::size_t i = 0; i < value.size(); ++i) each_value(value[i], at / i, visit);
  }
}

bool has_free_keys(const Pointer& at) {
  if (at.empty()) return false;
  for (const char* key : {"options", "labels", "node_labels", "env"}) {
    if (at.back() == key) return true;
  }
  return false;
}

TEST(SchemaTest, ExamplesFitTheSchemaAndTheParser) {
  for (const auto& kind : kinds()) {
    EXPECT_TRUE(fits(kind, kind.example));
    EXPECT_EQ(kind.errors(toml_of(kind.example)), "");
  }
}

TEST(SchemaTest, UnknownKeysAreRefusedByBoth) {
  for (const auto& kind : kinds()) {
    each_value(kind.example, Pointer(), [&](const Pointer& at) {
      if (!kind.example.at(at).is_object() || has_free_keys(at)) return;
      Json mutant = kind.example;
      mutant.at(at)["zzz"] = 1;
      EXPECT_FALSE(fits(kind, mutant)) << at;
      EXPECT_NE(kind.errors(toml_of(mutant)), "") << at;
    });
  }
}

TEST(SchemaTest, WrongTypesAreRefusedByBoth) {
  for (const auto& kind : kinds()) {
    each_value(kind.example, Pointer(), [&](const Pointer& at) {
      if (at.empty()) return;
      Json mutant = kind.example;
      mutant.at(at) = Json::parse("[[true]]");
      EXPECT_FALSE(fits(kind, mutant)) << at;
      EXPECT_NE(kind.errors(toml_of(mutant)), "") << at;
    });
  }
}

TEST(SchemaTest, NumbersOutOfRangeAreRefusedByBoth) {
  for (const auto& kind : kinds()) {
    each_value(kind.example, Pointer(), [&](const Pointer& at) {
      if (!kind.example.at(at).is_number()) return;
      for (const std::int64_t number : {std::int64_t{-1}, std::int64_t{1} << 40U}) {
        Json mutant = kind.example;
        mutant.at(at) = number;
        EXPECT_FALSE(fits(kind, mutant)) << at << number;
        EXPECT_NE(kind.errors(toml_of(mutant)), "") << at << number;
      }
    });
  }
}

TEST(SchemaTest, RequiredKeysAreRequiredByBoth) {
  int refused = 0;
  for (const auto& kind : kinds()) {
    each_value(kind.example, Pointer(), [&](const Pointer& at) {
      if (at.empty() || !kind.example.at(at.parent_pointer()).is_object()) return;
      Json mutant = kind.example;
      mutant.at(at.parent_pointer()).erase(at.back());
      if (fits(kind, mutant)) return;
      ++refused;
      EXPECT_NE(kind.errors(toml_of(mutant)).find(" 021 "), std::string::npos) << at;
    });
  }
  EXPECT_GT(refused, 20);
}

TEST(SchemaTest, WhatTheParserAcceptsTheSchemaAccepts) {
  const std::vector<Json> values = {"",
                                    "0",
                                    "1s",
                                    "1h",
                                    "250ms",
                                    "64MiB",
                                    "1.5GiB",
                                    "a.b",
                                    "A.b.",
                                    "/x",
                                    "/x/",
                                    "/a b",
                                    "A",
                                    "x y",
                                    "local",
                                    "*",
                                    "50%",
                                    "1-2",
                                    "500m",
                                    "0.5",
                                    "tcp",
                                    "host",
                                    "all",
                                    "1:1",
                                    "::1",
                                    "a\nb",
                                    0,
                                    1,
                                    2,
                                    0.5,
                                    true,
                                    false,
                                    "a-b",
                                    "-a",
                                    "a:b@c",
                                    "0000000001s",
                                    "007%",
                                    Json::array(),
                                    Json::object()};
  int accepted = 0;
  for (const auto& kind : kinds()) {
    each_value(kind.example, Pointer(), [&](const Pointer& at) {
      if (at.empty() || has_free_keys(at.parent_pointer())) return;
      for (const auto& value : values) {
        Json mutant = kind.example;
        mutant.at(at) = value;
        if (!kind.errors(toml_of(mutant)).empty()) continue;
        ++accepted;
        EXPECT_TRUE(fits(kind, mutant)) << at << " = " << value;
      }
    });
  }
  EXPECT_GT(accepted, 200);
}

TEST(SchemaTest, EveryKeyIsDescribed) {
  const std::function<void(const Json&, const std::string&)> visit = [&](const Json& schema, const std::string& at) {
    const Json properties = schema.value("properties", Json::object());
    for (const auto& [key, part] : properties.items()) {
      EXPECT_FALSE(part.value("description", "").empty()) << at << key;
      visit(part.contains("items") ? part["items"] : part, at + key + '.');
    }
  };
  visit(cluster_schema(), "");
  visit(service_schema(), "");
}

TEST(ClusterSchema, KnowsTheOptionsOfTheDriversThatThereAre) {
  const Json options{{"$schema", "http://json-schema.org/draft-07/schema#"},
                     {"type", "object"},
                     {"additionalProperties", false},
                     {"properties", {{"port", {{"type", "integer"}}}}}};
  const auto schema = compiled(cluster_schema({{"gateway", "box", options}, {"power", "cloud", options}}));
  const auto fits_with = [&](const std::string& driver, const std::string& port) {
    return schema
        .validate(json_of(replaced(small_cluster(), "\"nginx\"", '"' + driver + "\"\noptions = {" + port + "}")))
        .empty();
  };
  EXPECT_TRUE(fits_with("box", "port = 1"));
  EXPECT_TRUE(fits_with("box", ""));
  EXPECT_FALSE(fits_with("box", "port = \"x\""));
  EXPECT_FALSE(fits_with("box", "prot = 1"));
  EXPECT_TRUE(fits_with("other", "prot = 1")) << "of a driver that is not installed nothing is known";
}

}  // namespace
}  // namespace k4t::config::testing
