#include "cli/progress.hpp"

#include <algorithm>
#include <array>

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
  if (columns == 0) return {};
  std::string kept;
  std::size_t used = 0;
  for (const char byte : text) {
    const bool begins = (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
    if (begins && ++used >= columns) break;
    kept += byte;
  }
  return kept + "…";
}

bool is_witness(const Happening& happening) { return happening.subject.starts_with("witness "); }

std::string brief(const Happening& happening) {
  const bool with_detail = !happening.detail.empty() && happening.total == 0;
  return happening.state + (with_detail ? " (" + happening.detail + ")" : "");
}

}  // namespace

Mood mood_of(const std::string& state) {
  static const std::set<std::string> good{"present",  "healthy", "removed",   "drained", "observed",
                                          "prepared", "aborted", "committed", "claimed", "voted",
                                          "fetched",  "shared",  "closed"};
  if (good.contains(state)) return Mood::good;
  return state == "failed" || state == "refused" ? Mood::bad : Mood::active;
}

bool is_routine(const Happening& happening) {
  if (mood_of(happening.state) == Mood::bad) return false;
  return is_witness(happening) || happening.state == "observing" || happening.state == "observed";
}

void Progress::told(const std::string& warning) {
  const std::scoped_lock lock(mutex_);
  is_new(warning);
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

LineReporter::~LineReporter() { LineReporter::rest(); }

void LineReporter::rest() {
  const std::scoped_lock lock(mutex_);
  write_held();
}

void LineReporter::write_held() {
  for (const auto& [subject, line] : held_) write(line);
  held_.clear();
}

void LineReporter::stage(const std::string& what) {
  const std::scoped_lock lock(mutex_);
  write_held();
  begun_.clear();
  write("== " + what);
}

void LineReporter::happening(const Happening& happening) {
  const std::scoped_lock lock(mutex_);
  if (!shows_all()) {
    held_.erase(happening.subject);
    if (is_routine(happening)) return;
    const bool first = begun_.insert(happening.subject).second;
    if (mood_of(happening.state) == Mood::active && !first) return;
  }
  const std::string what = brief(happening);
  if (std::exchange(last_[happening.subject], what) == what) return;
  const std::string line = happening.subject + ": " + what;
  // A witness that has no register yet refuses first and is given one then: only what it ends with is worth a line.
  if (!shows_all() && is_witness(happening)) {
    held_[happening.subject] = line;
  } else {
    write(line);
  }
}

void LineReporter::warning(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  if (is_new(text)) write("warning: " + text);
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

void LiveReporter::rest() {
  const std::scoped_lock lock(mutex_);
  finish_block();
}

void LiveReporter::write(const std::string& text) {
  std::fputs(terminal_.utf8 ? text.c_str() : in_ascii(text).c_str(), out_);
  std::fflush(out_);
}

/// Never wider than the terminal: a line that wraps is two, and moving up by one would miss the first.
std::string LiveReporter::line_of(const Happening& happening) const {
  const Mood mood = mood_of(happening.state);
  std::string words = happening.state;
  const std::string amount = amount_of(happening);
  if (!amount.empty()) words += ' ' + amount;
  if (!happening.detail.empty()) words += " · " + happening.detail;
  constexpr std::size_t margin = 5;  // two blanks, a sign, a blank, and the last column, which some terminals wrap at
  const std::size_t width = terminal_.width > margin ? terminal_.width - margin : 1;
  const std::string subject = cut(printable(happening.subject), width);
  const std::size_t used = columns_of(subject) + 2;
  const Style look = mood == Mood::bad ? Style::bad : Style::dim;
  std::string line = "  " + styled(symbol_of(mood), style_of(mood), terminal_.colours) + ' ' + subject;
  if (used < width) line += "  " + styled(cut(printable(words), width - used), look, terminal_.colours);
  return line;
}

void LiveReporter::stage(const std::string& what) {
  const std::scoped_lock lock(mutex_);
  finish_block();
  write(styled(printable(what), Style::bold, terminal_.colours) + '\n');
}

/// False where nothing is to be drawn because of it. What is routine has a line only while it lasts.
bool LiveReporter::update(const Happening& happening) {
  const auto known = std::find_if(block_.begin(), block_.end(),
                                  [&](const Happening& other) { return other.subject == happening.subject; });
  const bool routine = !shows_all() && is_routine(happening);
  if (known == block_.end()) {
    if (routine && mood_of(happening.state) == Mood::good) return false;
    block_.push_back(happening);
    return true;
  }
  if (routine && !is_routine(*known)) return false;
  const bool changed = known->state != happening.state;
  if (routine && mood_of(happening.state) == Mood::good) {
    block_.erase(known);
  } else {
    *known = happening;
  }
  return changed || std::chrono::steady_clock::now() - last_draw_ >= redraw_interval;
}

void LiveReporter::happening(const Happening& happening) {
  const std::scoped_lock lock(mutex_);
  if (update(happening)) redraw();
}

void LiveReporter::redraw() {
  last_draw_ = std::chrono::steady_clock::now();
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
  if (drawn_ > 0) text += "\x1b[" + std::to_string(drawn_) + "A\x1b[J";
  if (hidden > 0) text += "  … and " + std::to_string(hidden) + " more\n";
  for (const Happening* happening : shown) text += line_of(*happening) + '\n';
  drawn_ = shown.size() + (hidden > 0 ? 1 : 0);
  if (!text.empty()) write(text);
}

/// The block stays on the screen as it ended. Something routine that is not over is not worth a lasting line.
void LiveReporter::finish_block() {
  if (!shows_all()) std::erase_if(block_, is_routine);
  if (!block_.empty() || drawn_ > 0) redraw();
  block_.clear();
  drawn_ = 0;
}

void LiveReporter::print_above(const std::string& line) {
  std::string text;
  if (drawn_ > 0) text += "\x1b[" + std::to_string(drawn_) + "A\x1b[J";
  drawn_ = 0;
  write(text + line + '\n');
  if (!block_.empty()) redraw();
}

void LiveReporter::warning(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  if (is_new(text)) print_above(styled("warning: ", Style::warning, terminal_.colours) + printable(text));
}

void LiveReporter::log(LogLevel level, const std::string& text) {
  if (level < level_) return;
  const std::scoped_lock lock(mutex_);
  print_above(styled(printable(text), Style::dim, terminal_.colours));
}

std::unique_ptr<Progress> make_reporter(std::FILE* out, LogLevel level) {
  const Terminal terminal = terminal_of(out);
  if (terminal.interactive) return std::make_unique<LiveReporter>(out, terminal, level);
  return std::make_unique<LineReporter>(out, level);
}

}  // namespace k4t::cli
