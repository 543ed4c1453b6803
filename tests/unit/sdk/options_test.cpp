#include "k4t/options.hpp"

#include <gtest/gtest.h>

#include "platform/json_schema.hpp"

namespace k4t {
namespace {

Json schema_of_a_server() {
  return option::schema({{"name", option::text("Who it is")},
                         {"folder", option::path("Where it is", "/srv")},
                         {"key", option::file("What opens it")},
                         {"timeout_ms", option::number("How long to wait.", 1, 1000, 500)},
                         {"ports", option::list("Where it listens", option::port(""))},
                         {"tls", option::table("How it is spoken to", {{"ca", option::file("Who vouches")}}, {"ca"})}},
                        {"name"});
}

TEST(OptionsSchema, IsWhatItsWordsSay) {
  EXPECT_EQ(schema_of_a_server(), Json::parse(R"({
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object", "additionalProperties": false, "required": ["name"],
    "properties": {
      "name": {"type": "string", "minLength": 1, "description": "Who it is"},
      "folder": {"type": "string", "pattern": "^/", "description": "Where it is", "default": "/srv"},
      "key": {"type": "string", "pattern": "^/", "k4t-file": true, "description": "What opens it"},
      "timeout_ms": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 500,
                     "description": "How long to wait."},
      "ports": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535},
                "description": "Where it listens"},
      "tls": {"type": "object", "additionalProperties": false, "required": ["ca"],
              "description": "How it is spoken to",
              "properties": {"ca": {"type": "string", "pattern": "^/", "k4t-file": true, "description": "Who vouches"}}}
    }})"));
}

TEST(OptionsSchema, RefusesWhatDoesNotFit) {
  const Json schema = schema_of_a_server();
  const auto issues = [&](const char* options) { return platform::validate_json(schema, Json::parse(options)).size(); };
  EXPECT_EQ(issues(R"({"name": "a", "folder": "/x", "ports": [1, 65535], "tls": {"ca": "/ca"}})"), 0U);
  for (const char* wrong :
       {R"({})", R"({"name": ""})", R"({"name": "a", "folder": "x"})", R"({"name": "a", "key": ""})",
        R"({"name": "a", "timeout_ms": 0})", R"({"name": "a", "timeout_ms": 1001})", R"({"name": "a", "ports": [0]})",
        R"({"name": "a", "tls": {}})", R"({"name": "a", "tls": {"ca": "/ca", "c": 1}})",
        R"({"name": "a", "nmae": "b"})"}) {
    EXPECT_GT(issues(wrong), 0U) << wrong;
  }
}

}  // namespace
}  // namespace k4t
