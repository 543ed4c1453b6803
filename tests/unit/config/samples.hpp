#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace k4t::config::testing {

/// The smallest cluster file without errors: node n1, gateway g1, dns d1, domain apps.example.net.
std::string small_cluster();

/// A service file with one service "web" with the port "http", and `more` inside its table.
std::string small_service(const std::string& more = {});

/// The text with the first occurrence of `from`, which must be there, replaced by `to`.
std::string replaced(std::string text, const std::string& from, const std::string& to);

/// The cluster that small_cluster() declares.
model::Cluster cluster();

Loaded<model::Cluster> parse_cluster_text(const std::string& text);
Loaded<std::vector<model::Service>> parse_service_text(const std::string& text);

/// One line per diagnostic: "LINE:COLUMN ID CAUSE | REMEDY", warnings with a "?" in front.
std::string brief(const std::vector<Diagnostic>& diagnostics);

std::string read_repository_file(const std::string& path);
/// The example files below config/, by their paths in the repository.
std::vector<std::string> example_services();

}  // namespace k4t::config::testing
