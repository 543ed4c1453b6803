#include "log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace k4t::process {
namespace {

constexpr std::size_t kTimeLength = 27;

bool same_file(int fd, const std::string& path) {
  struct stat open_one {};
  struct stat named {};
  return ::fstat(fd, &open_one) == 0 && ::stat(path.c_str(), &named) == 0 && open_one.st_ino == named.st_ino &&
         open_one.st_dev == named.st_dev;
}

}  // namespace

std::string format_time(std::chrono::system_clock::time_point time) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  const std::time_t seconds = since / 1'000'000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[64];
  const auto size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + size, sizeof text - size, ".%06dZ", static_cast<int>(since % 1'000'000));
  return text;
}

std::string format_line(const LogLine& line) {
  return line.time + (line.channel == Channel::err ? " err " : " out ") + (line.whole ? "F " : "P ") + line.text;
}

std::optional<LogLine> parse_line(std::string_view text) {
  constexpr std::size_t kHead = kTimeLength + 7;
  if (text.size() < kHead || text[kTimeLength - 1] != 'Z') return std::nullopt;
  const auto channel = text.substr(kTimeLength, 5);
  const auto flag = text.substr(kTimeLength + 5, 2);
  if ((channel != " out " && channel != " err ") || (flag != "F " && flag != "P ")) return std::nullopt;
  return LogLine{std::string(text.substr(0, kTimeLength)), channel == " err " ? Channel::err : Channel::out,
                 flag == "F ", std::string(text.substr(kHead))};
}

LogWriter::LogWriter(std::string path, std::string older_path, std::uint64_t file_bytes)
    : path_(std::move(path)), older_path_(std::move(older_path)), file_bytes_(file_bytes) {
  open();
  char last = '\n';
  // A fragment that a crash left at the end must not swallow the next line.
  if (size_bytes_ > 0 && ::pread(file_.get(), &last, 1, static_cast<off_t>(size_bytes_ - 1)) == 1 && last != '\n') {
    static_cast<void>(write_text("\n"));
  }
}

void LogWriter::open() {
  file_ = Descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  struct stat found {};
  size_bytes_ = file_.valid() && ::fstat(file_.get(), &found) == 0 ? static_cast<std::uint64_t>(found.st_size) : 0;
}

void LogWriter::append(Channel channel, std::string_view bytes) {
  std::string& piece = pending(channel);
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto room = kLineBytes - piece.size();
    const auto taken = std::min(std::min(end, bytes.size()), room);
    piece.append(bytes.substr(0, taken));
    const bool whole = taken == end;
    bytes.remove_prefix(whole ? taken + 1 : taken);
    if (!whole && piece.size() < kLineBytes) return;
    write(channel, piece, whole);
    piece.clear();
  }
}

void LogWriter::flush() {
  for (const Channel channel : {Channel::out, Channel::err}) {
    if (!pending(channel).empty()) write(channel, pending(channel), /*whole=*/false);
    pending(channel).clear();
  }
}

void LogWriter::write(Channel channel, std::string_view text, bool whole) {
  const std::string time = format_time(std::chrono::system_clock::now());
  std::string line;
  if (dropped_lines_ > 0) {
    line =
        format_line({time, Channel::err, true, "k4t: " + std::to_string(dropped_lines_) + " lines were lost"}) + "\n";
  }
  line += format_line({time, channel, whole, std::string(text)}) + "\n";
  if (size_bytes_ + line.size() > file_bytes_) {
    ::rename(path_.c_str(), older_path_.c_str());
    open();
  }
  if (write_text(line)) {
    dropped_lines_ = 0;
  } else {
    ++dropped_lines_;
  }
}

bool LogWriter::write_text(const std::string& text) {
  if (!file_.valid()) open();
  const auto written = ::write(file_.get(), text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) {
    size_bytes_ += text.size();
    return true;
  }
  // Half a line would run into the next one.
  if (written > 0) static_cast<void>(::ftruncate(file_.get(), static_cast<off_t>(size_bytes_)));
  return false;
}

Result<void> LogReader::begin(std::deque<std::string>& lines) {
  const auto older = read_file(older_path_);
  if (!older && older.status() != Status::not_found) return older.error();
  file_ = Descriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file_.valid() && errno != ENOENT) return system_error("cannot read " + path_);
  if (!older) return {};
  std::string_view rest = *older;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    lines.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

Result<void> LogReader::take(std::deque<std::string>& lines) {
  for (char bytes[65536];;) {
    const auto got = ::read(file_.get(), bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("cannot read " + path_);
    if (got == 0) return {};
    std::string_view rest(bytes, static_cast<std::size_t>(got));
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      lines.push_back(fragment_.append(rest.substr(0, end)));
      fragment_.clear();
      rest.remove_prefix(end + 1);
    }
    fragment_.append(rest);
  }
}

Result<std::deque<std::string>> LogReader::fresh() {
  std::deque<std::string> lines;
  if (!file_.valid()) K4T_TRY(begin(lines));
  if (!file_.valid()) return lines;
  // Compared before reading: what is written to this file after it was replaced is nothing.
  const bool replaced = !same_file(file_.get(), path_);
  K4T_TRY(take(lines));
  if (!replaced) return lines;
  file_ = Descriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (file_.valid()) K4T_TRY(take(lines));
  return lines;
}

}  // namespace k4t::process
