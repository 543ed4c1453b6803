#pragma once

#include <string>
#include <vector>

#include "cli/console.hpp"
#include "operation/master.hpp"

/// What commands show, as text for people and as JSON for programs. Pure.

namespace k4t::cli {

/// What will be done: instances, routes and records, warnings and problems.
std::string render_preview(const operation::Preview& preview, bool colours);
Json preview_json(const operation::Preview& preview);

/// The last lines of a command that changed something.
std::string render_report(const operation::Report& report, bool colours);
Json report_json(const operation::Report& report);

/// `k4t ps`. `now_s` is Unix time.
std::string render_instances(const std::vector<plan::Placed>& instances, std::int64_t now_s, bool colours);

/// Participants as seen beside `latest`.
Json members_json(const std::vector<txn::Member>& members, const txn::EntryPtr& latest);
Style style_of_standing(txn::Standing standing);
/// "version 5", "no version yet".
std::string version_text(const txn::EntryPtr& latest);

std::string join(const std::vector<std::string>& parts, const std::string& between);

/// "1 node", "2 nodes".
std::string plural(std::size_t count, const std::string& noun);

/// "3 s", "12 min", "5 h", "9 d".
std::string human_age(std::int64_t seconds);

}  // namespace k4t::cli
