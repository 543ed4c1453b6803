#pragma once

#include <string>
#include <vector>

#include "cli/console.hpp"
#include "operation/transactions.hpp"

/// What the commands about the redo log, the witnesses and differences show, as text and as JSON. Pure.

namespace k4t::cli {

/// `k4t txn ls`.
std::string render_log(const operation::Log& log, bool colours);
Json log_json(const operation::Log& log);

/// `k4t txn show`.
std::string render_shown(const operation::Shown& shown, bool colours);
Json shown_json(const operation::Shown& shown);

/// `k4t diff`.
std::string render_difference(const operation::Difference& difference, bool colours);
Json difference_json(const operation::Difference& difference);

/// One witness, decided or only wished.
struct WitnessRow {
  model::Witness at;
  /// "decides", "decided" (until the latest version), "retired" (points to the set that decides now), "wished" (in
  /// k4t.toml only), "to begin" (nothing is decided yet).
  std::string role;
  std::string state;  ///< "answers", "blank", "silent" or "not asked"
  std::string why;    ///< of silent: the reason
  std::optional<model::WitnessRegister> shown;
  std::string configured_as;  ///< its id in k4t.toml; empty: it is not there
};
std::vector<WitnessRow> witness_rows(const model::Cluster& cluster, const txn::Assessment& assessment);
std::string render_witnesses(const std::vector<WitnessRow>& rows, bool colours);
/// The table that it is, for rows that come one by one.
Table witness_table();
Table::Row witness_cells(const WitnessRow& row);
Json witnesses_json(const std::vector<WitnessRow>& rows);

/// What a user is to read before history is forced.
std::string render_forcing(const operation::Forcing& forcing, bool colours);
/// What `status` says of a forced version that nobody has acknowledged, or whose participants are still off the chain;
/// empty: nothing.
std::string render_forced(const model::State& state, bool colours);

/// "2026-01-31 12:00:00 UTC"
std::string utc_time(std::int64_t unix_s);

}  // namespace k4t::cli
