#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backup/keeper.hpp"

/// What is shown of copies of the metadata, as text and as JSON. Pure.

namespace k4t::cli {

/// The table of `status`; empty without places.
std::string render_standings(const std::vector<backup::PlaceStanding>& standings, std::int64_t now_s, bool colours);
Json standings_json(const std::vector<backup::PlaceStanding>& standings);

/// How a change's copies ended, in one line or with a line for each place that failed; empty: nothing was sent, and
/// nothing is wrong.
std::string render_sent(const std::vector<backup::PlaceStanding>& standings, bool colours);

/// One copy at a place, as `backup ls` lists and `backup verify` opened it.
struct CopyLine {
  std::string place;
  std::optional<backup::CopyName> copy;  ///< absent: the place has none, or does not tell
  std::optional<bool> sound;             ///< absent: it was not opened
  std::optional<Error> why;              ///< what is wrong
};
std::string render_copies(const std::vector<CopyLine>& lines, std::int64_t now_s, bool colours);
Json copies_json(const std::vector<CopyLine>& lines);

}  // namespace k4t::cli
