#include "plugin/contract.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
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

/// The schemas of replies, each compiled when it is first asked for: a command needs a few of them. Thread-safe.
class Replies {
 public:
  /// Empty: no such kind, or its schema does not know the method.
  std::optional<JsonSchema> of(std::string_view kind, std::string_view method) {
    if (api_of(kind).empty()) return {};
    const std::scoped_lock lock(mutex_);
    const auto name = std::pair(std::string(kind), std::string(method));
    if (const auto found = compiled_.find(name); found != compiled_.end()) return found->second;
    const Json& document = document_of(kind);
    const auto shapes = document.at("methods").find(name.second);
    if (shapes == document.at("methods").end()) return {};
    Json schema = shapes->at("reply");
    schema["definitions"] = document.at("definitions");
    return compiled_.emplace(name, compiled(schema)).first->second;
  }

 private:
  const Json& document_of(std::string_view kind) {
    const auto found = documents_.find(kind);
    if (found != documents_.end()) return found->second;
    return documents_.emplace(std::string(kind), Json::parse(schema_text(kind))).first->second;
  }

  std::mutex mutex_;
  std::map<std::string, Json, std::less<>> documents_;
  std::map<std::pair<std::string, std::string>, JsonSchema> compiled_;
};

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
  static Replies replies;
  const auto schema = replies.of(kind, method);
  return schema ? schema->validate(reply) : std::vector<JsonIssue>();
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
