#include <gtest/gtest.h>

#include "config/option_words.hpp"
#include "samples.hpp"

namespace k4t::config::testing {
namespace {

const Json schema = Json::parse(R"({
  "type": "object", "additionalProperties": false, "required": ["file"],
  "properties": {
    "file": {"type": "string", "pattern": "^/"},
    "status_port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "listen": {"type": "array", "items": {"type": "string"}},
    "tls": {"type": "object", "additionalProperties": false, "properties": {"ca": {"type": "string"}}}
  }})");

std::string check(const std::string& options, const Json& with = schema) {
  const auto loaded = parse_cluster_text(replaced(small_cluster(), "[[dns]]", options + "[[dns]]"));
  EXPECT_TRUE(loaded.ok()) << brief(loaded.diagnostics);
  const auto diagnostics = check_options(loaded.origins, "gateway", loaded.value->gateways.at(0), with);
  for (const auto& each : diagnostics) EXPECT_EQ(each.file, "/etc/k4t/k4t.toml");
  return brief(diagnostics);
}

TEST(OptionsTest, NamesTheFilesThatTheSchemaMarks) {
  const Json marked = Json::parse(R"({
    "properties": {
      "key": {"type": "string", "k4t-file": true}, "port": {"type": "integer"}, "name": {"type": "string"},
      "logins": {"type": "array", "items": {"properties": {"password": {"type": "string", "k4t-file": true}}}},
      "ssh": {"properties": {"identity": {"type": "array", "items": {"type": "string", "k4t-file": true}}}}
    }})");
  const Json options =
      Json::parse(R"({"key": "/k", "port": 1, "name": "/n", "other": "/o", "ssh": {"identity": ["/i", ""]},
                                       "logins": [{"password": "/p1"}, {"password": "/p2"}, {}]})");
  EXPECT_EQ(named_files(options, marked), (std::set<std::string>{"/i", "/k", "/p1", "/p2"}));
  EXPECT_TRUE(named_files(options, Json()).empty());
  EXPECT_TRUE(named_files(Json(), marked).empty());
}

TEST(OptionsTest, OptionsThatFitTheDriversSchemaPass) {
  EXPECT_EQ(check("[gateway.options]\nfile = \"/a\"\nstatus_port = 1\nlisten = [\"x\"]\ntls = {ca = \"c\"}\n"), "");
}

TEST(OptionsTest, EveryMisfitIsReportedAtItsPlace) {
  EXPECT_EQ(check("[gateway.options]\nfile = \"a\"\nstatus-port = 1\nstatus_port = 0\nlisten = [\"x\", "
                  "1]\n[gateway.options.tls]\ncert = \"c\"\n"),
            "13:8 040 option \"file\" must be an absolute path | `k4t plugin show nginx` tells its options\n"
            "14:1 040 unknown option \"status-port\" | did you mean 'status_port'?\n"
            "15:15 040 option \"status_port\" must be a number from 1 to 65535 | `k4t plugin show nginx` tells its "
            "options\n"
            "16:16 040 option \"listen[1]\" must be text | `k4t plugin show nginx` tells its options\n"
            "18:1 040 unknown option \"cert\" | the options here are: ca\n");
}

TEST(OptionsTest, AMissingOptionIsReportedAtTheOptionsOrTheirThing) {
  const std::string expected = " 040 option \"file\" is missing | `k4t plugin show nginx` tells its options\n";
  EXPECT_EQ(check("[gateway.options]\nlisten = []\n"), "12:1" + expected);
  EXPECT_EQ(check(""), "8:1" + expected);
}

TEST(OptionsTest, WhatIsEmptyIsToldAsSuch) {
  Json strict = schema;
  strict["properties"]["listen"]["minItems"] = 1;
  strict["properties"]["tls"]["properties"]["ca"]["minLength"] = 1;
  EXPECT_EQ(check("[gateway.options]\nfile = \"/a\"\nlisten = []\ntls = {ca = \"\"}\n", strict),
            "14:10 040 option \"listen\" must not be empty | `k4t plugin show nginx` tells its options\n"
            "15:13 040 option \"tls.ca\" must not be empty | `k4t plugin show nginx` tells its options\n");
}

TEST(OptionsTest, AValueIsDescribedInWords) {
  const auto words = [](const char* text) { return describe_value(Json::parse(text)); };
  EXPECT_EQ(words(R"({"type": "string"})"), "text");
  EXPECT_EQ(words(R"({"type": "string", "pattern": "^/"})"), "an absolute path");
  EXPECT_EQ(words(R"({"type": "string", "pattern": "^(/.*)?$"})"), "an absolute path or \"\"");
  EXPECT_EQ(words(R"({"type": "string", "pattern": "^a$"})"), "text like ^a$");
  EXPECT_EQ(words(R"({"enum": ["a", 1]})"), "one of \"a\", 1");
  EXPECT_EQ(words(R"({"type": "integer"})"), "a whole number");
  EXPECT_EQ(words(R"({"type": "integer", "minimum": 1})"), "a whole number of at least 1");
  EXPECT_EQ(words(R"({"type": "number", "maximum": 0.5})"), "a number of at most 0.5");
  EXPECT_EQ(words(R"({"type": "integer", "minimum": 1, "maximum": 9})"), "a number from 1 to 9");
  EXPECT_EQ(words(R"({"type": "boolean"})"), "true or false");
  EXPECT_EQ(words(R"({"type": "array", "items": {"type": "object"}})"), "a list of tables");
  EXPECT_EQ(words(R"({"type": "array"})"), "a list of values");
  EXPECT_EQ(words(R"({"type": "object"})"), "a table");
  for (const char* odd : {"[]", "null", "3", R"({"type": 3})", R"({"type": ["string", "null"]})", R"({"enum": []})"}) {
    EXPECT_EQ(words(odd), "any value") << odd;
  }
}

TEST(OptionsTest, AnUnusableSchemaIsTheDriversFault) {
  const std::string expected = "10:10 041 driver \"nginx\" has an unusable options schema: not a JSON Schema: ";
  EXPECT_EQ(check("", Json{{"type", "nonsense"}}).substr(0, expected.size()), expected);
}

TEST(OptionsTest, OptionsWithSpecialKeysHaveTheirPlaceToo) {
  EXPECT_EQ(check("[gateway.options]\nfile = \"/a\"\n\"a/b~c'd\" = 1\n"),
            "14:1 040 unknown option \"a/b~c'd\" | the options here are: file, listen, status_port, tls\n");
}

}  // namespace
}  // namespace k4t::config::testing
