#include "agent.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "scripts.hpp"

namespace k4t::haproxy {
namespace {

using std::chrono::milliseconds;

/// A program that is asked nothing for so long ends by itself, lest it outlive a connection that broke without a word.
constexpr std::chrono::seconds idle_limit = std::chrono::minutes(10);
/// How long a call's caller waits for its wish to give up to be noticed.
constexpr milliseconds cancel_poll{50};
constexpr std::size_t piece_bytes = 64u << 10;
/// What no host has to say.
constexpr std::size_t largest_answer_bytes = 256u << 20;
constexpr milliseconds longest_call = std::chrono::minutes(1);

void put_frame(std::string& out, std::string_view name, std::string_view bytes) {
  out.append(name).append(" ").append(std::to_string(bytes.size())).append("\n").append(bytes).append("\n");
}

std::string text_of(const std::string& verb, const Frames& request) {
  std::string text;
  put_frame(text, "verb", verb);
  for (const auto& [name, bytes] : request) put_frame(text, name, bytes);
  put_frame(text, "end", {});
  return text;
}

/// Takes an answer apart as it comes.
class Answer {
 public:
  /// False: this is no answer.
  bool add(std::string_view bytes) {
    text_ += bytes;
    while (!ended_) {
      const auto line_end = text_.find('\n', at_);
      if (line_end == std::string::npos) return text_.size() - at_ < largest_head_bytes;
      const auto size = size_of(std::string_view(text_).substr(at_, line_end - at_));
      if (!size || *size > largest_answer_bytes) return false;
      const auto after = line_end + 1 + *size;
      if (text_.size() <= after) return true;
      if (text_[after] != '\n') return false;
      take_frame(line_end, *size);
      at_ = after + 1;
    }
    return at_ == text_.size();
  }
  [[nodiscard]] bool ended() const { return ended_; }
  Frames& frames() { return frames_; }

 private:
  static constexpr std::size_t largest_head_bytes = 64;

  /// Of a frame's head "NAME BYTES"; nothing: it is none.
  static std::optional<std::size_t> size_of(std::string_view head) {
    const auto space = head.find(' ');
    if (space == std::string_view::npos) return {};
    std::size_t size = 0;
    const auto end = head.data() + head.size();
    const auto [stop, failed] = std::from_chars(head.data() + space + 1, end, size);
    return failed == std::errc() && stop == end ? std::optional(size) : std::nullopt;
  }

  void take_frame(std::size_t line_end, std::size_t size) {
    std::string name = text_.substr(at_, text_.find(' ', at_) - at_);
    ended_ = name == "end";
    if (!ended_) frames_.emplace_back(std::move(name), text_.substr(line_end + 1, size));
  }

  std::string text_;
  std::size_t at_ = 0;  ///< the first byte that is not understood yet
  bool ended_ = false;
  Frames frames_;
};

const std::string* find(const Frames& frames, std::string_view name) {
  const auto found = std::find_if(frames.begin(), frames.end(), [&](const auto& frame) { return frame.first == name; });
  return found == frames.end() ? nullptr : &found->second;
}

}  // namespace

Error unavailable(std::string message, std::string detail) {
  return {Status::unavailable, std::move(message), std::move(detail)};
}

Result<std::string> take(const Frames& frames, std::string_view name) {
  const auto* found = find(frames, name);
  if (found == nullptr) return unavailable("the answer of HAProxy's host has no part '" + std::string(name) + "'");
  return *found;
}

Result<Frames> Agent::ask(const std::string& verb, const Frames& request, Again again, const Call& call) {
  const std::string text = text_of(verb, request);
  for (bool second = false;; second = true) {
    K4T_TRY(make_ready(call));
    const bool kept = !fresh_;
    auto frames = exchange(text, call);
    if (frames) {
      if (const auto* error = find(*frames, "error")) return unavailable("on " + host_->name() + ": " + *error);
      return frames;
    }
    program_.reset();
    // One that was kept may have been lost long ago. Who did not get the whole request did nothing.
    const bool harmless = again == Again::allowed || !delivered_;
    if (second || !kept || !harmless || frames.status() != Status::unavailable) return frames.error();
  }
}

Result<void> Agent::make_ready(const Call& call) {
  if (program_ != nullptr && (Clock::now() - used_ > idle_limit / 2 || !lives())) program_.reset();
  if (program_ == nullptr) K4T_TRY(start(call));
  return {};
}

/// A program that says something unasked is as good as dead.
bool Agent::lives() { return program_->read(1, milliseconds(0)).status() == Status::deadline; }

Result<void> Agent::start(const Call& call) {
  transport::Command command;
  command.argv = {"perl", "-e", program()};
  command.argv.insert(command.argv.end(), arguments_.begin(), arguments_.end());
  command.argv.push_back(std::to_string(idle_limit.count()));
  command.timeout = call.remaining(longest_call);
  command.cancelled = [&call] { return call.cancelled(); };
  auto started = host_->start(command);
  if (!started && started.status() == Status::not_found) {
    return unavailable("there is no perl on " + host_->name() + ": install the package perl-base");
  }
  if (!started) return started.error();
  program_ = *std::move(started);
  fresh_ = true;
  return {};
}

Result<Frames> Agent::exchange(std::string_view text, const Call& call) {
  delivered_ = false;
  while (!text.empty()) {
    if (call.cancelled()) return Error{Status::deadline, "the call was given up before it had begun", {}};
    const auto piece = text.substr(0, piece_bytes);
    K4T_TRY(program_->write(piece, call.remaining(longest_call)));
    text.remove_prefix(piece.size());
  }
  delivered_ = true;
  auto frames = receive(call);
  if (!frames) return frames.error();
  used_ = Clock::now();
  fresh_ = false;
  return frames;
}

Result<Frames> Agent::receive(const Call& call) {
  Answer answer;
  while (!answer.ended()) {
    K4T_ASSIGN(const std::string bytes, read(call));
    if (bytes.empty()) return unavailable("k4t's program on " + host_->name() + " ended before it had answered");
    if (!answer.add(bytes)) return unavailable("k4t's program on " + host_->name() + " said what is no answer");
  }
  return std::move(answer.frames());
}

Result<std::string> Agent::read(const Call& call) {
  const auto until = Clock::now() + call.remaining(longest_call);
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    if (left.count() <= 0 || call.cancelled()) {
      return Error{Status::deadline, "HAProxy's host " + host_->name() + " did not answer in time", {}};
    }
    auto bytes = program_->read(piece_bytes, std::min(left, cancel_poll));
    if (bytes || bytes.status() != Status::deadline) return bytes;
  }
}

}  // namespace k4t::haproxy
