#include "platform/json_schema.hpp"

#include <gtest/gtest.h>

namespace k4t::platform {
namespace {

const Json kSchema = Json::parse(R"({
  "type": "object",
  "properties": {
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "mode": {"enum": ["http", "tcp"]},
    "items": {"type": "array", "items": {"$ref": "#/definitions/item"}},
    "a/b": {"type": "string"}
  },
  "required": ["port"],
  "additionalProperties": false,
  "definitions": {"item": {"type": "object", "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}}}}
})");

std::string pointers(const Json& value) {
  std::string all;
  for (const auto& issue : validate_json(kSchema, value)) all += issue.pointer + ";";
  return all;
}

TEST(JsonSchemaTest, ValueThatFitsHasNoIssue) {
  EXPECT_EQ(pointers({{"port", 80}, {"mode", "tcp"}, {"items", {{{"name", "web"}}}}}), "");
}

TEST(JsonSchemaTest, IssueNamesTheDeepestPlaceOnly) {
  EXPECT_EQ(pointers({{"port", 80}, {"items", {{{"name", "web"}}, {{"name", "WEB"}}}}}), "/items/1/name;");
  EXPECT_EQ(pointers({{"port", 70000}}), "/port;");
  EXPECT_EQ(pointers({{"port", 80}, {"a/b", 1}}), "/a~1b;");
}

TEST(JsonSchemaTest, MissingAndUnknownPropertiesAreIssuesOfTheObject) {
  EXPECT_EQ(pointers(Json::object()), ";");
  const auto issues = validate_json(kSchema, {{"port", 80}, {"prot", 80}});
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_NE(issues[0].message.find("prot"), std::string::npos) << issues[0].message;
}

TEST(JsonSchemaTest, EveryUnknownKeyIsNamed) {
  std::vector<std::string> keys;
  for (const auto& issue : validate_json(kSchema, {{"port", 80}, {"a'b", 1}, {"prot", 80}})) {
    EXPECT_EQ(issue.kind, JsonIssue::Kind::unknown_key);
    EXPECT_EQ(issue.pointer, "");
    keys.push_back(issue.key);
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"a'b", "prot"}));
}

TEST(JsonSchemaTest, MissingKeyIsNamed) {
  const auto issues = validate_json(kSchema, Json::object());
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_EQ(issues[0].kind, JsonIssue::Kind::missing_key);
  EXPECT_EQ(issues[0].key, "port");
}

TEST(JsonSchemaTest, TextTooLongForPatternsIsRefusedRatherThanMatched) {
  const auto issues = validate_json(kSchema, {{"port", 80}, {"items", {{{"name", std::string(1U << 20U, 'a')}}}}});
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_EQ(issues[0].message, "cannot be checked: a text has more than 16384 bytes");
}

TEST(JsonSchemaTest, TypesAreStrict) {
  EXPECT_EQ(pointers({{"port", "80"}}), "/port;");
  EXPECT_EQ(pointers(Json::array()), ";");
  EXPECT_EQ(pointers(nullptr), ";");
}

TEST(JsonSchemaTest, EveryFaultIsReported) { EXPECT_EQ(pointers({{"port", 0}, {"mode", "udp"}}), "/mode;/port;"); }

TEST(JsonSchemaTest, SchemaThatIsNoneIsReported) {
  EXPECT_EQ(JsonSchema::compile("no").status(), Status::invalid_argument);
  const auto issues = validate_json(Json{{"type", "nonsense"}}, 1);
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_EQ(issues[0].message.rfind("not a JSON Schema: ", 0), 0u) << issues[0].message;
}

TEST(JsonSchemaTest, UnresolvableReferenceIsReported) {
  EXPECT_EQ(JsonSchema::compile(Json{{"$ref", "#/definitions/none"}}).status(), Status::invalid_argument);
}

}  // namespace
}  // namespace k4t::platform
