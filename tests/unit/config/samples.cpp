#include "samples.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace k4t::config::testing {

std::string small_cluster() {
  return R"([cluster]
name = "demo"
domain = "apps.example.net"
[[node]]
name = "n1"
driver = "docker"
address = "192.0.2.11"
[[gateway]]
name = "g1"
driver = "nginx"
address = "192.0.2.21"
[[dns]]
name = "d1"
driver = "bind"
address = "192.0.2.31"
)";
}

std::string small_service(const std::string& more) {
  return "[[service]]\nname = \"web\"\nimage = \"web:1\"\nport = [{name = \"http\", port = 80}]\n" + more;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

model::Cluster cluster() {
  static const model::Cluster once = parse_cluster_text(small_cluster()).value.value();
  return once;
}

Loaded<model::Cluster> parse_cluster_text(const std::string& text) {
  return parse_cluster({"/etc/k4t/k4t.toml", text}, {{"/usr/lib/k4t/plugins"}});
}

Loaded<std::vector<model::Service>> parse_service_text(const std::string& text) {
  return parse_services({{"web.toml", text}}, cluster());
}

std::string brief(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const auto& each : diagnostics) {
    text += each.severity == Severity::warning ? "?" : "";
    text += std::to_string(each.line) + ':' + std::to_string(each.column) + ' ' + each.id.substr(8) + ' ' + each.cause +
            " | " + each.remedy + '\n';
  }
  return text;
}

std::string read_repository_file(const std::string& path) {
  std::ifstream file(std::string(K4T_SOURCE_DIR "/") + path);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> example_services() {
  return {"config/services/web.toml", "config/services/api.toml", "config/services/echo.toml"};
}

}  // namespace k4t::config::testing
