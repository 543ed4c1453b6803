#include "plugin/contract.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "k4t/dns.hpp"
#include "k4t/gateway.hpp"
#include "k4t/power.hpp"
#include "k4t/runtime.hpp"
#include "k4t/schema.hpp"

namespace k4t::plugin {
namespace {

using platform::JsonIssue;
using platform::JsonSchema;

struct KnownKind {
  std::string_view name;
  std::string_view api;
};
constexpr std::array kKinds = {
    KnownKind{runtime::Kind::name, runtime::Kind::api}, KnownKind{gateway::Kind::name, gateway::Kind::api},
    KnownKind{dns::Kind::name, dns::Kind::api}, KnownKind{power::Kind::name, power::Kind::api}};

/// REQUIRES: a schema of the SDK; a unit test compiles all of them.
JsonSchema compiled(const Json& schema) { return JsonSchema::compile(schema).value(); }

/// The schema of every reply, by kind and method.
using Replies = std::map<std::pair<std::string, std::string>, JsonSchema, std::less<>>;

Replies compile_replies() {
  Replies replies;
  for (const KnownKind& kind : kKinds) {
    const Json document = Json::parse(schema_text(kind.name));
    for (const auto& [method, shapes] : document.at("methods").items()) {
      Json schema = shapes.at("reply");
      schema["definitions"] = document.at("definitions");
      replies.emplace(std::pair(std::string(kind.name), method), compiled(schema));
    }
  }
  return replies;
}

}  // namespace

std::string_view api_of(std::string_view kind) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(), [&](const KnownKind& one) { return one.name == kind; });
  return found == kKinds.end() ? std::string_view() : found->api;
}

std::vector<JsonIssue> check_manifest(const Json& manifest) {
  static const JsonSchema schema = compiled(Json::parse(schema_text("manifest")));
  return schema.validate(manifest);
}

std::vector<JsonIssue> check_reply(std::string_view kind, std::string_view method, const Json& reply) {
  static const Replies replies = compile_replies();
  const auto found = replies.find(std::pair(std::string(kind), std::string(method)));
  return found == replies.end() ? std::vector<JsonIssue>() : found->second.validate(reply);
}

std::string text_of(const std::vector<JsonIssue>& issues) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(issues.size(), kShown); ++i) {
    text += (i == 0 ? "" : "; ") + (issues[i].pointer.empty() ? "/" : issues[i].pointer) + ": " + issues[i].message;
  }
  return issues.size() > kShown ? text + "; …" : text;
}

}  // namespace k4t::plugin
