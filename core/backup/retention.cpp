#include "backup/retention.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <regex>
#include <set>

namespace k4t::backup {
namespace {

constexpr std::int64_t hour_s = 3600;
constexpr std::int64_t day_s = 24 * hour_s;

/// Of copies that are as old, one is kept in each span of so many seconds; 0: all are.
std::int64_t span_of(std::int64_t age_s) {
  if (age_s <= hour_s) return 0;
  if (age_s <= day_s) return hour_s;
  return age_s <= 30 * day_s ? day_s : 30 * day_s;
}

}  // namespace

std::string CopyName::text() const {
  const auto time = static_cast<std::time_t>(made_at_s);
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc);
  return "k4t-" + std::string(text.data()) + "-v" + std::to_string(version) + "-" + mark + ".copy";
}

std::optional<CopyName> parse_copy_name(const std::string& text) {
  static const std::regex form(R"(k4t-(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-v(\d{1,19})-([0-9a-f]{8})\.copy)");
  std::smatch found;
  if (!std::regex_match(text, found, form)) return std::nullopt;
  std::tm utc{};
  utc.tm_year = std::stoi(found[1]) - 1900;
  utc.tm_mon = std::stoi(found[2]) - 1;
  utc.tm_mday = std::stoi(found[3]);
  utc.tm_hour = std::stoi(found[4]);
  utc.tm_min = std::stoi(found[5]);
  utc.tm_sec = std::stoi(found[6]);
  CopyName name{::timegm(&utc), std::stoull(found[7]), found[8]};
  // What stands for no moment, the 31st of a short month, is not ours.
  return name.text() == text ? std::optional(name) : std::nullopt;
}

std::vector<CopyName> outdated(std::vector<CopyName> copies, std::int64_t now_s, const Retention& retention) {
  // The newest first; what another clock made in the future counts as new.
  std::sort(copies.begin(), copies.end(), [](const CopyName& a, const CopyName& b) {
    return std::tie(a.made_at_s, a.version, a.mark) > std::tie(b.made_at_s, b.version, b.mark);
  });
  std::vector<CopyName> gone;
  std::set<std::pair<std::int64_t, std::int64_t>> spans;
  std::size_t kept = 0;
  for (const auto& copy : copies) {
    const std::int64_t age_s = std::max<std::int64_t>(now_s - copy.made_at_s, 0);
    const std::int64_t span = span_of(age_s);
    const bool is_second = span > 0 && !spans.emplace(span, copy.made_at_s / span).second;
    const bool stays = kept == 0 || (!is_second && age_s <= retention.keep_for_s && kept < retention.keep);
    if (stays) {
      ++kept;
    } else {
      gone.push_back(copy);
    }
  }
  return gone;
}

}  // namespace k4t::backup
