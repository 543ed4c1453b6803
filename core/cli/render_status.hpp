#pragma once

#include <array>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "cli/console.hpp"
#include "operation/status.hpp"

/// What `k4t status` shows, as text, as text that is printed while it becomes known, and as JSON. Pure.

namespace k4t::cli {

std::string render_status(const model::Cluster& cluster, const operation::Status& status, bool colours);
Json status_json(const model::Cluster& cluster, const operation::Status& status);

/// The same text as render_status(), line by line as each becomes known and always in that order, until let_go(): from
/// then on no line waits for another any more, and those that are late come as they do, under their table's header
/// again. What needs every answer, the services, is the end. No clock and no threads. `cluster` outlives it.
class StatusPage {
 public:
  StatusPage(const model::Cluster& cluster, bool colours);

  // What became known, see operation::StatusWatcher; begin() first.
  void begin(const operation::Status& known);
  void decided(const txn::Assessment& assessment);
  void witness(const txn::Peeked& witness);
  void member(const txn::Member& member);
  void node(const plan::NodeView& node);

  /// What can be printed now and was not yet.
  std::string take();
  /// Whether something is known that waits for a line before it.
  [[nodiscard]] bool holds_back() const;
  /// All that is known, and who is waited for.
  std::string let_go();
  /// All the rest. REQUIRES: begin() was called.
  std::string finish(const operation::Status& status);

 private:
  /// A row of a table: of whom, and whether it is known. Before that its cells are only as wide as can be expected.
  struct Line {
    std::string who;
    Table::Row cells;
    bool known = false;
    bool printed = false;
  };
  struct Section {
    Table table;
    std::vector<Line> lines{};
    bool listed = false;   ///< all its lines are there
    bool printed = false;  ///< the columns' widths are final
  };

  void learn(Section& section, const std::string& who, Table::Row cells);
  void print(Section& section, Line& line, std::string& text);
  void print_header(Section& section, std::string& text);
  bool print_in_order(Section& section, std::string& text);
  void print_known(Section& section, std::string& text);
  [[nodiscard]] std::string head() const;
  [[nodiscard]] std::string waiting() const;
  void learn_witnesses();

  const model::Cluster& cluster_;
  const bool colours_;
  operation::Status known_;
  std::set<std::string> heard_;  ///< ids of witnesses that have answered or were given up
  Section members_;
  Section witnesses_;
  Section nodes_;
  const std::array<Section*, 3> sections_;
  const Section* under_ = nullptr;  ///< whose header was printed last
  bool decided_ = false;
  bool head_printed_ = false;
  bool let_go_ = false;
};

}  // namespace k4t::cli
