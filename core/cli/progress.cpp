#include "cli/progress.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace k4t::cli {
namespace {

using operation::Happening;

/// Redrawing more often than this only makes a slow terminal slower.
constexpr auto redraw_interval = std::chrono::milliseconds(50);

std::string amount_of(const Happening& happening) {
  if (happening.total == 0) return {};
  return std::to_string(happening.done * 100 / happening.total) + " % of " + human_bytes(happening.total);
}

const char* symbol_of(Mood mood) {
  switch (mood) {
    case Mood::active: return "…";
    case Mood::good: return "✓";
    case Mood::bad: return "✗";
  }
  return " ";
}

Style style_of(Mood mood) {
  switch (mood) {
    case Mood::active: return Style::accent;
    case Mood::good: return Style::good;
    case Mood::bad: return Style::bad;
  }
  return Style::plain;
}

/// Cut to `columns`, at a character's border.
std::string cut(const std::string& text, std::size_t columns) {
  if (columns_of(text) <= columns) return text;
  std::string kept;
  std::size_t used = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (begins && ++used >= columns) break;
    kept += text[i];
  }
  return kept + "…";
}

}  // namespace

Mood mood_of(const std::string& state) {
  static const std::set<std::string> good{"present", "healthy",   "removed", "drained", "observed", "prepared",
                                          "aborted", "committed", "claimed", "voted",   "fetched",  "closed"};
  if (good.contains(state)) return Mood::good;
  return state == "failed" || state == "refused" ? Mood::bad : Mood::active;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> units{"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text.data();
}

// ---- plain lines ------------------------------------------------------------------------------------------------

void LineReporter::write(const std::string& line) {
  std::fprintf(out_, "%s\n", printable(line).c_str());
  std::fflush(out_);
}

void LineReporter::stage(const std::string& what) {
  const std::scoped_lock lock(mutex_);
  write("== " + what);
}

void LineReporter::happening(const Happening& happening) {
  const std::scoped_lock lock(mutex_);
  const std::string what = happening.state + (happening.total > 0 ? "" : happening.detail);
  if (std::exchange(last_[happening.subject], what) == what) return;
  write(happening.subject + ": " + happening.state +
        (happening.detail.empty() || happening.total > 0 ? "" : " (" + happening.detail + ")"));
}

void LineReporter::warning(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  write("warning: " + text);
}

void LineReporter::log(LogLevel level, const std::string& text) {
  if (level < level_) return;
  const std::scoped_lock lock(mutex_);
  write("log: " + text);
}

// ---- a terminal -------------------------------------------------------------------------------------------------

LiveReporter::~LiveReporter() {
  const std::scoped_lock lock(mutex_);
  finish_block();
}

std::string LiveReporter::line_of(const Happening& happening) const {
  const Mood mood = mood_of(happening.state);
  std::string words = happening.state;
  const std::string amount = amount_of(happening);
  if (!amount.empty()) words += ' ' + amount;
  if (!happening.detail.empty()) words += " · " + happening.detail;
  const std::string subject = printable(happening.subject);
  const std::size_t room = terminal_.width > columns_of(subject) + 8 ? terminal_.width - columns_of(subject) - 8 : 8;
  const Style look = mood == Mood::bad ? Style::bad : Style::dim;
  return "  " + styled(symbol_of(mood), style_of(mood), terminal_.colours) + ' ' + subject + "  " +
         styled(cut(printable(words), room), look, terminal_.colours);
}

void LiveReporter::stage(const std::string& what) {
  const std::scoped_lock lock(mutex_);
  finish_block();
  std::fprintf(out_, "%s\n", styled(printable(what), Style::bold, terminal_.colours).c_str());
  std::fflush(out_);
}

void LiveReporter::happening(const Happening& happening) {
  const std::scoped_lock lock(mutex_);
  const auto known = std::find_if(block_.begin(), block_.end(),
                                  [&](const Happening& other) { return other.subject == happening.subject; });
  const bool state_changed = known == block_.end() || known->state != happening.state;
  if (known == block_.end()) {
    block_.push_back(happening);
  } else {
    *known = happening;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!state_changed && now - last_draw_ < redraw_interval) return;
  last_draw_ = now;
  redraw();
}

void LiveReporter::redraw() {
  // Only as much as fits on the screen can be drawn in place: things still at work first, then the newest.
  const std::size_t room = terminal_.height > 4 ? terminal_.height - 3 : 1;
  std::vector<const Happening*> shown;
  for (const auto& happening : block_) shown.push_back(&happening);
  const std::size_t hidden = shown.size() > room ? shown.size() - room : 0;
  if (hidden > 0) {
    std::stable_partition(shown.begin(), shown.end(),
                          [](const Happening* happening) { return mood_of(happening->state) == Mood::good; });
    shown.erase(shown.begin(), shown.begin() + static_cast<std::ptrdiff_t>(hidden));
  }
  std::string text;
  if (drawn_ > 0) text += "\x1b[" + std::to_string(drawn_) + 'A';
  if (hidden > 0) text += "\x1b[2K  … and " + std::to_string(hidden) + " more\n";
  for (const Happening* happening : shown) text += "\x1b[2K" + line_of(*happening) + '\n';
  drawn_ = shown.size() + (hidden > 0 ? 1 : 0);
  std::fputs(text.c_str(), out_);
  std::fflush(out_);
}

void LiveReporter::finish_block() {
  if (!block_.empty()) redraw();
  block_.clear();
  drawn_ = 0;
}

void LiveReporter::print_above(const std::string& line) {
  if (drawn_ > 0) std::fprintf(out_, "\x1b[%zuA\x1b[J", drawn_);
  drawn_ = 0;
  std::fprintf(out_, "%s\n", line.c_str());
  if (!block_.empty()) redraw();
  std::fflush(out_);
}

void LiveReporter::warning(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  print_above(styled("warning: ", Style::warning, terminal_.colours) + printable(text));
}

void LiveReporter::log(LogLevel level, const std::string& text) {
  if (level < level_) return;
  const std::scoped_lock lock(mutex_);
  print_above(styled(printable(text), Style::dim, terminal_.colours));
}

std::unique_ptr<operation::Reporter> make_reporter(std::FILE* out, LogLevel level) {
  const Terminal terminal = terminal_of(out);
  if (terminal.interactive) return std::make_unique<LiveReporter>(out, terminal, level);
  return std::make_unique<LineReporter>(out, level);
}

}  // namespace k4t::cli
