#include <unistd.h>

#include <cerrno>

#include "store/store.hpp"
#include "store/store_impl.hpp"

/// Nodes and what users said of them.

namespace k4t::store {
namespace {

/// Rows of the table `nodes`, not yet decoded.
struct NodeRow {
  std::string node;
  std::string by;
  Seconds at_s = 0;
};

Result<std::vector<model::AddedNode>> read_nodes(Database& database, const std::filesystem::path& file) {
  K4T_ASSIGN(const auto rows, database.rows("SELECT node, by, at_s FROM nodes ORDER BY name", [](const Row& row) {
    return NodeRow{row.text(0), row.text(1), row.integer(2)};
  }));
  std::vector<model::AddedNode> nodes;
  for (const auto& row : rows) {
    K4T_ASSIGN(auto node, read_json<model::Node>(row.node, file));
    nodes.push_back({std::move(node), row.by, row.at_s});
  }
  return nodes;
}

}  // namespace

Result<std::vector<model::AddedNode>> Store::peek_nodes(const std::filesystem::path& folder) {
  const auto file = folder / metadata_file;
  if (::access(file.c_str(), F_OK) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::vector<model::AddedNode>{};
    return Error{Status::unavailable, "cannot reach " + file.string(), {}};
  }
  K4T_ASSIGN(const auto database, Database::open(file));
  K4T_ASSIGN(const auto tables, database->rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'nodes'",
                                               [](const Row& row) { return row.text(0); }));
  if (tables.empty()) return std::vector<model::AddedNode>{};
  return read_nodes(*database, file);
}

Result<std::vector<model::AddedNode>> Store::nodes() { return read_nodes(*impl_->database, impl_->file); }

Result<void> Store::put_node(const model::AddedNode& added) {
  return impl_->database->run(
      "INSERT INTO nodes VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET node = excluded.node, by = excluded.by, "
      "at_s = excluded.at_s",
      added.node.name, Json(added.node).dump(), added.by, added.at_s);
}

Result<void> Store::remove_node(const std::string& name) {
  return impl_->database->run("DELETE FROM nodes WHERE name = ?", name);
}

Result<std::vector<model::NodeMark>> Store::marks() {
  K4T_ASSIGN(const auto texts, impl_->database->rows("SELECT mark FROM node_marks ORDER BY node",
                                                     [](const Row& row) { return row.text(0); }));
  std::vector<model::NodeMark> marks;
  for (const auto& text : texts) {
    K4T_ASSIGN(auto mark, read_json<model::NodeMark>(text, impl_->file));
    marks.push_back(std::move(mark));
  }
  return marks;
}

Result<void> Store::put_mark(const model::NodeMark& mark) {
  return impl_->database->run(
      "INSERT INTO node_marks VALUES (?, ?) ON CONFLICT (node) DO UPDATE SET mark = excluded.mark", mark.node,
      Json(mark).dump());
}

Result<void> Store::remove_mark(const std::string& node) {
  return impl_->database->run("DELETE FROM node_marks WHERE node = ?", node);
}

}  // namespace k4t::store
