#include "k4t/schema.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "k4t/dns.hpp"
#include "k4t/gateway.hpp"
#include "k4t/power.hpp"
#include "k4t/runtime.hpp"
#include "platform/json_schema.hpp"

// The schemas and the structs say the same: each is held against the other, field by field.

namespace k4t {
namespace {

using platform::JsonSchema;
using platform::validate_json;

// Values in which every field and every optional is there
// --------------------------------------------------------------

const Register kRegister{"demo", 7, "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210.3"};

gateway::State gateway_state() {
  const gateway::RateLimit rate{5, 10};
  const gateway::ConnectionLimit connections{3};
  return {{{80, gateway::Protocol::http, {{"a.example.net", "/", "web", rate, connections}}, "web", rate, connections}},
          {{"web",
            gateway::Protocol::http,
            gateway::Balance::source_hash,
            {{"192.0.2.1", 8080}},
            gateway::Health{},
            1,
            2}}};
}

dns::State dns_state() { return {"k4t.example.net", {{"web.k4t.example.net", dns::Type::a, 5, {"192.0.2.1"}}}}; }

runtime::InstanceSpec spec() {
  runtime::InstanceSpec made;
  made.name = "demo-web-1";
  made.entrypoint = {"/bin/sh"};
  made.command = {"-c", "true"};
  made.env = {{"A", "b"}};
  made.labels = {{"k4t.cluster", "demo"}};
  made.ports = {{80, 20000, "tcp"}};
  made.dns_servers = {"192.0.2.53"};
  made.dns_search = {"k4t.example.net"};
  return made;
}

runtime::Instance instance() {
  runtime::Instance one;
  one.name = "demo-web-1";
  one.labels = {{"k4t.cluster", "demo"}};
  one.ports = {{80, 20000, "udp"}};
  return one;
}

const Observation kObservation{kRegister, kRegister, Content::drifted, true, {kRegister.txn}, "why"};
const std::vector<gateway::Endpoint> kEndpoints = {{"192.0.2.1", 80}};

/// One shape of the contract: the schema's name for it and a filled value.
struct Shape {
  std::string kind;
  std::string method;
  std::string part;  ///< "request" or "reply"
  Json filled;
};

template <class M>
void add(std::vector<Shape>& shapes, const char* kind, const typename M::Request& request,
         const typename M::Reply& reply) {
  shapes.push_back({kind, M::name, "request", Json(request)});
  shapes.push_back({kind, M::name, "reply", Json(reply)});
}

template <class State>
PrepareRequest<State> prepare(const State& state) {
  return {kRegister, kRegister, state, state};
}

std::vector<Shape> gateway_shapes() {
  namespace m = gateway::method;
  std::vector<Shape> shapes;
  const char* kind = gateway::Kind::name;
  add<m::Observe>(shapes, kind, {Expected<gateway::State>{kRegister, gateway_state()}}, kObservation);
  add<m::Prepare>(shapes, kind, prepare(gateway_state()), {});
  add<m::Commit>(shapes, kind, {kRegister, kRegister}, {"evidence"});
  add<m::Abort>(shapes, kind, {kRegister.txn}, {});
  add<m::Connections>(shapes, kind, {kEndpoints}, {{{kEndpoints[0], 3}}});
  return shapes;
}

std::vector<Shape> dns_shapes() {
  namespace m = dns::method;
  std::vector<Shape> shapes;
  const char* kind = dns::Kind::name;
  add<m::Observe>(shapes, kind, {Expected<dns::State>{kRegister, dns_state()}}, kObservation);
  add<m::Prepare>(shapes, kind, prepare(dns_state()), {});
  add<m::Commit>(shapes, kind, {kRegister, kRegister}, {"evidence"});
  add<m::Abort>(shapes, kind, {kRegister.txn}, {});
  add<m::WitnessRead>(shapes, kind, {"k4t.example.net", "w1"}, {"text"});
  add<m::WitnessSwap>(shapes, kind, {"k4t.example.net", "w1", "old", "new"}, {});
  return shapes;
}

std::vector<Shape> runtime_shapes() {
  namespace m = runtime::method;
  std::vector<Shape> shapes;
  const char* kind = runtime::Kind::name;
  add<m::Info>(shapes, kind, {}, {2, 1u << 30, "x86_64", "Debian", "1", {"warning"}, {"2001:db8:1::/64"}});
  add<m::Usage>(shapes, kind, {}, {0.5, 1, 2, 3});
  add<m::EnsureImage>(shapes, kind, {"web:1", true}, {"sha256:1"});
  add<m::List>(shapes, kind, {"demo"}, {{instance()}});
  add<m::Create>(shapes, kind, spec(), instance());
  add<m::Start>(shapes, kind, {"demo-web-1"}, instance());
  add<m::Stop>(shapes, kind, {"demo-web-1"}, {});
  add<m::Remove>(shapes, kind, {"demo-web-1"}, {});
  add<m::Inspect>(shapes, kind, {"demo-web-1"}, instance());
  add<m::Logs>(shapes, kind, {"demo-web-1", true, 10, true}, {});
  add<m::Exec>(shapes, kind, {"demo-web-1", {"true"}}, {1});
  add<m::ListImages>(shapes, kind, {true}, {{{"sha256:1", {"web:1"}, {"sha256:2"}, 3}}, true});
  add<m::SaveImages>(shapes, kind, {{"web:1"}}, {});
  const runtime::LoadRequest load{"/file", {"web:1"}, {1, 2}, {{"sha256:2", {3, 4}, true}}, "ticket"};
  add<m::LoadImage>(shapes, kind, load, {5});
  add<m::ShareImages>(shapes, kind, {{load}, 60}, {"1", {"ticket"}, 5});
  add<m::EndShare>(shapes, kind, {"1"}, {});
  return shapes;
}

std::vector<Shape> power_shapes() {
  namespace m = power::method;
  std::vector<Shape> shapes;
  const char* kind = power::Kind::name;
  const power::Machine machine{"i-1", "node1", power::Power::on};
  add<m::List>(shapes, kind, {}, {{machine}});
  add<m::Status>(shapes, kind, {"i-1"}, machine);
  add<m::Start>(shapes, kind, {"i-1"}, machine);
  add<m::Stop>(shapes, kind, {"i-1"}, machine);
  return shapes;
}

/// The documents that are one schema each.
std::map<std::string, Json> single_shapes() {
  const Manifest manifest{"null", "gateway", "1", "summary", {"gateway.v1"}, {"http"}, true, {{"type", "object"}}};
  const OpenRequest open{"demo", "k4t.example.net", "gw1", "192.0.2.1", {{"port", 1}}};
  return {{"manifest", manifest},
          {"open", open},
          {"error", {{"message", "m"}, {"detail", "d"}}},
          {"progress", Progress{"pull", "layer", 1, 2, "bytes"}}};
}

Json document(const std::string& name) { return Json::parse(schema_text(name)); }

Json schema_of(const Json& document, const std::string& method, const std::string& part) {
  Json schema = document.at("methods").at(method).at(part);
  schema["definitions"] = document.at("definitions");
  return schema;
}

// Walking a schema beside a value
// --------------------------------------------------------------------------------------

class Walk {
 public:
  explicit Walk(const Json& document) : document_(document) {}

  /// What `schema` says, with its reference followed.
  const Json& resolved(const Json& schema) {
    if (schema.contains("allOf")) return resolved(schema.at("allOf").at(0));
    if (!schema.contains("$ref")) return schema;
    const std::string name = schema.at("$ref").get<std::string>().substr(std::string("#/definitions/").size());
    used.insert(name);
    return resolved(document_.at("definitions").at(name));
  }

  /// Expects the same fields on both sides, all the way down, and records how each could be spoiled.
  void compare(const Json& reference, const Json& value, const std::string& where) {
    const Json& schema = resolved(reference);
    const std::string type = schema.value("type", "");
    if (type == "array") {
      ASSERT_FALSE(value.empty()) << where << ": the example has no item";
      compare(schema.at("items"), value.at(0), where + "/0");
    } else if (type == "object" && schema.contains("properties")) {
      compare_fields(schema, value, where);
    }
    spoil(schema, type, where);
  }

  std::set<std::string> used;
  std::vector<std::pair<std::string, Json>> spoilers;  ///< (pointer, a value that must not be accepted there)
  std::vector<std::string> required;                   ///< pointers of what must not be missing

 private:
  void compare_fields(const Json& schema, const Json& value, const std::string& where) {
    std::set<std::string> in_schema;
    std::set<std::string> in_struct;
    for (const auto& [name, field] : schema.at("properties").items()) in_schema.insert(name);
    for (const auto& [name, field] : value.items()) in_struct.insert(name);
    ASSERT_EQ(in_schema, in_struct) << where;
    for (const auto& [name, field] : value.items())
      compare(schema.at("properties").at(name), field, where + "/" + name);
    for (const auto& name : schema.value("required", Json::array())) {
      required.push_back(where + "/" + name.get<std::string>());
    }
  }

  void spoil(const Json& schema, const std::string& type, const std::string& where) {
    if (where.empty()) return;
    spoilers.emplace_back(where, nullptr);
    spoilers.emplace_back(where, type == "string" ? Json(7) : Json("text"));
    if (schema.contains("enum")) spoilers.emplace_back(where, "nonsense");
    if (schema.contains("pattern")) spoilers.emplace_back(where, "../NOT this");
    if (schema.contains("minimum")) spoilers.emplace_back(where, schema.at("minimum").get<std::int64_t>() - 1);
    if (schema.contains("maximum")) spoilers.emplace_back(where, schema.at("maximum").get<std::int64_t>() + 1);
    if (type == "integer") spoilers.emplace_back(where, 1.5);
  }

  const Json& document_;
};

std::string issues_of(const JsonSchema& schema, const Json& value) {
  std::string text;
  for (const auto& issue : schema.validate(value)) text += issue.pointer + ": " + issue.message + "\n";
  return text;
}

/// The filled value fits; every value spoiled in one place does not.
void expect_exact(const Json& schema, const Json& filled, const Walk& walk, const std::string& what) {
  const auto compiled = JsonSchema::compile(schema);
  ASSERT_TRUE(compiled) << what << ": " << compiled.error().message;
  EXPECT_EQ(issues_of(*compiled, filled), "") << what;
  for (const auto& [pointer, wrong] : walk.spoilers) {
    Json spoiled = filled;
    spoiled[Json::json_pointer(pointer)] = wrong;
    EXPECT_NE(issues_of(*compiled, spoiled), "") << what << pointer << " = " << wrong;
  }
  for (const auto& pointer : walk.required) {
    Json spoiled = filled;
    const Json::json_pointer at(pointer);
    spoiled[at.parent_pointer()].erase(at.back());
    EXPECT_NE(issues_of(*compiled, spoiled), "") << what << " without " << pointer;
  }
  Json extended = filled;
  extended["field_of_a_later_version"] = {1, 2};
  EXPECT_EQ(issues_of(*compiled, extended), "") << what << ": unknown fields are ignored";
}

void expect_kind(const std::string& kind, const std::vector<Shape>& shapes) {
  const Json whole = document(kind);
  std::set<std::string> methods;
  std::set<std::string> used;
  for (const Shape& shape : shapes) {
    methods.insert(shape.method);
    Walk walk(whole);
    const std::string what = kind + "." + shape.method + "." + shape.part;
    walk.compare(whole.at("methods").at(shape.method).at(shape.part), shape.filled, "");
    used.insert(walk.used.begin(), walk.used.end());
    expect_exact(schema_of(whole, shape.method, shape.part), shape.filled, walk, what);
  }
  for (const auto& [name, method] : whole.at("methods").items()) EXPECT_TRUE(methods.contains(name)) << name;
  for (const auto& [name, definition] : whole.at("definitions").items()) EXPECT_TRUE(used.contains(name)) << name;
}

TEST(SchemaTest, GatewaySchemaIsExactlyItsStructs) { expect_kind("gateway", gateway_shapes()); }
TEST(SchemaTest, DnsSchemaIsExactlyItsStructs) { expect_kind("dns", dns_shapes()); }
TEST(SchemaTest, RuntimeSchemaIsExactlyItsStructs) { expect_kind("runtime", runtime_shapes()); }
TEST(SchemaTest, PowerSchemaIsExactlyItsStructs) { expect_kind("power", power_shapes()); }

TEST(SchemaTest, SingleSchemasAreExactlyTheirStructs) {
  for (const auto& [name, filled] : single_shapes()) {
    const Json whole = document(name);
    Walk walk(whole);
    walk.compare(whole, filled, "");
    expect_exact(whole, filled, walk, name);
  }
}

// Defaults
// -------------------------------------------------------------------------------------------------------------

TEST(SchemaTest, WhatAStructIsByDefaultFits) {
  const auto fits = [](const std::string& kind, const std::string& definition, const Json& value) {
    const Json whole = document(kind);
    const auto compiled =
        JsonSchema::compile({{"$ref", "#/definitions/" + definition}, {"definitions", whole.at("definitions")}});
    ASSERT_TRUE(compiled) << compiled.error().message;
    EXPECT_EQ(issues_of(*compiled, value), "") << kind << " " << definition;
  };
  fits("gateway", "Observation", Observation{});
  fits("gateway", "ObserveRequest", gateway::ObserveRequest{});
  fits("gateway", "State", gateway::State{});
  fits("gateway", "Listener", gateway::Listener{});
  fits("gateway", "Backend", gateway::Backend{});
  fits("gateway", "Route", gateway::Route{});
  fits("gateway", "Health", gateway::Health{});
  fits("gateway", "ConnectionsReply", gateway::ConnectionsReply{});
  fits("dns", "State", dns::State{});
  fits("dns", "WitnessValue", dns::WitnessValue{});
  fits("runtime", "NodeInfo", runtime::NodeInfo{});
  fits("runtime", "InstanceSpec", runtime::InstanceSpec{});
  fits("runtime", "Instance", runtime::Instance{});
  fits("runtime", "ListReply", runtime::ListReply{});
  fits("runtime", "ImagesReply", runtime::ImagesReply{});
  fits("runtime", "LoadRequest", runtime::LoadRequest{});
  fits("runtime", "ShareRequest", runtime::ShareRequest{});
  fits("runtime", "ShareReply", runtime::ShareReply{});
  fits("power", "Machine", power::Machine{});
}

/// The defaults that a schema tells are those of the struct.
void expect_defaults(const std::string& kind, const std::string& definition, const Json& by_default) {
  const Json whole = document(kind);
  for (const auto& [name, field] : whole.at("definitions").at(definition).at("properties").items()) {
    if (field.contains("default")) {
      EXPECT_EQ(field.at("default"), by_default.at(name)) << definition << "." << name;
    }
  }
}

TEST(SchemaTest, DefaultsThatASchemaTellsAreThoseOfTheStruct) {
  expect_defaults("gateway", "Health", gateway::Health{});
  expect_defaults("gateway", "Backend", gateway::Backend{});
  expect_defaults("gateway", "Listener", gateway::Listener{});
  expect_defaults("gateway", "Route", gateway::Route{});
  expect_defaults("gateway", "Observation", Observation{});
  expect_defaults("dns", "RecordSet", dns::RecordSet{});
  expect_defaults("runtime", "InstanceSpec", runtime::InstanceSpec{});
  expect_defaults("runtime", "Instance", runtime::Instance{});
  expect_defaults("runtime", "PortMap", runtime::PortMap{});
}

/// Every name of an enum is in the schema and the other way round.
template <class Enum>
void expect_names(const std::string& kind, const std::string& definition) {
  std::set<std::string> in_code;
  for (const auto& [value, name] : k4t_enum_names(Enum{})) in_code.insert(std::string(name));
  EXPECT_EQ(document(kind).at("definitions").at(definition).at("enum").get<std::set<std::string>>(), in_code);
}

TEST(SchemaTest, EnumsHaveTheSameNames) {
  expect_names<Content>("gateway", "Content");
  expect_names<gateway::Balance>("gateway", "Balance");
  expect_names<gateway::Protocol>("gateway", "Protocol");
  expect_names<dns::Type>("dns", "Type");
  expect_names<runtime::Network>("runtime", "Network");
  expect_names<runtime::Restart>("runtime", "Restart");
  expect_names<runtime::Phase>("runtime", "Phase");
  expect_names<runtime::Health>("runtime", "Health");
  expect_names<power::Power>("power", "Power");
}

TEST(SchemaTest, VersionsUpToTheLargestSignedNumberFit) {
  Observation seen = kObservation;
  seen.stored->version = static_cast<std::uint64_t>(INT64_MAX);
  EXPECT_TRUE(validate_json(schema_of(document("gateway"), "observe", "reply"), Json(seen)).empty());
}

TEST(SchemaTest, EmptyAnswerIsNotAnObservationNorAList) {
  EXPECT_FALSE(validate_json(schema_of(document("gateway"), "observe", "reply"), Json::object()).empty());
  EXPECT_FALSE(validate_json(schema_of(document("gateway"), "connections", "reply"), Json::object()).empty());
  EXPECT_FALSE(validate_json(schema_of(document("runtime"), "list", "reply"), Json::object()).empty());
  EXPECT_FALSE(validate_json(schema_of(document("power"), "list", "reply"), Json::object()).empty());
}

TEST(SchemaTest, UnknownNameHasNoText) { EXPECT_TRUE(schema_text("nonsense").empty()); }

}  // namespace
}  // namespace k4t
