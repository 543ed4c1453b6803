#include "ssh_job.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace k4t::transport {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds cancel_poll{20};
/// A server that does not confirm a close for so long keeps its session for itself.
constexpr milliseconds close_patience{2000};
/// A server that ends every connection must not be asked for ever.
constexpr int connections_at_most = 2;
constexpr std::size_t piece_bytes = 32u << 10;
/// After so many pieces the other channels have their turn.
constexpr int pieces_at_once = 16;
constexpr std::size_t prelude_shown_bytes = 2000;

void note_close(ssh_session /*session*/, ssh_channel /*channel*/, void* closed) { *static_cast<bool*>(closed) = true; }

}  // namespace

Job::Job() {
  callbacks_.userdata = &closed_by_server_;
  callbacks_.channel_close_function = note_close;
  ssh_callbacks_init(&callbacks_);
}

bool Job::wait(Clock::time_point until, const std::function<bool()>& cancelled) {
  std::unique_lock lock(mutex_);
  while (!finished_) {
    const auto now = Clock::now();
    lock.unlock();
    const bool given_up = now >= until || (cancelled && cancelled());
    lock.lock();
    if (given_up) {
      abandoned_ = !finished_;
      return finished_;
    }
    changed_.wait_until(lock, cancelled ? std::min(until, now + cancel_poll) : until);
  }
  return true;
}

void Job::finish(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = true;
  error_ = std::move(error);
  changed_.notify_all();
}

bool Job::occupies() const {
  if (!is_session() || phase_ == Phase::waiting || phase_ == Phase::over) return false;
  return phase_ != Phase::closing || Clock::now() - closing_since_ < close_patience;
}

void Job::try_again() {
  crowded_out_.reset();
  phase_ = Phase::waiting;
}

void Job::give_up() {
  finish(cannot_open(crowded_out_.value_or("")));
  crowded_out_.reset();
}

void Job::advance(ssh_session session, const std::string& where) {
  where_ = where;
  more_ = false;
  if (phase_ == Phase::waiting || phase_ == Phase::opening) advance_opening(session);
  if (phase_ == Phase::beginning) advance_beginning(session);
  if (phase_ == Phase::moving) {
    if (abandoned_ || !move(channel_.get())) close();
  }
  if (phase_ == Phase::closing && closed_by_server_) {
    channel_.reset();
    phase_ = Phase::over;
  }
}

// A channel that is being opened is never given up half way: libssh would not know its answer any more.
void Job::advance_opening(ssh_session session) {
  if (phase_ == Phase::waiting) {
    if (abandoned_) {
      phase_ = Phase::over;
      return;
    }
    channel_.reset(ssh_channel_new(session));
    if (channel_ == nullptr) return;
    closed_by_server_ = false;
    ssh_set_channel_callbacks(channel_.get(), &callbacks_);
    phase_ = Phase::opening;
  }
  const int code = open(channel_.get());
  if (code == SSH_OK) phase_ = Phase::beginning;
  if (code == SSH_OK || code == SSH_AGAIN || ssh_is_connected(session) == 0) return;
  const std::string why = ssh_get_error(session);
  channel_.reset();
  phase_ = Phase::over;
  if (is_session()) {
    crowded_out_ = why;
  } else {
    finish(cannot_open(why));
  }
}

void Job::advance_beginning(ssh_session session) {
  const int code = begin(channel_.get());
  if (code == SSH_OK) phase_ = Phase::moving;
  if (code == SSH_OK || code == SSH_AGAIN || ssh_is_connected(session) == 0) return;
  finish(cannot_open(ssh_get_error(session)));
  close();
}

void Job::close() {
  on_close();
  ssh_channel_close(channel_.get());
  closing_since_ = Clock::now();
  phase_ = Phase::closing;
}

bool Job::connection_lost(const Error& why) {
  const bool nothing_asked = phase_ == Phase::waiting || phase_ == Phase::opening;
  on_lost();
  channel_.reset();
  if (nothing_asked && !abandoned_ && ++lost_ < connections_at_most) {
    phase_ = Phase::waiting;
    return true;
  }
  phase_ = Phase::over;
  finish(why);
  return false;
}

CommandJob::CommandJob(const Command& command, std::string line, const std::string& token)
    : program_(command.argv.front()),
      input_(command.input),
      line_(std::move(line)),
      token_(token),
      out_(token, command.output_limit_bytes),
      err_(token, command.output_limit_bytes) {}

Result<Output> CommandJob::outcome() {
  const std::lock_guard lock(mutex_);
  if (error_) return *error_;
  return std::move(output_);
}

int CommandJob::open(ssh_channel channel) { return ssh_channel_open_session(channel); }

int CommandJob::begin(ssh_channel channel) { return ssh_channel_request_exec(channel, line_.c_str()); }

Error CommandJob::cannot_open(const std::string& why) {
  return {Status::unavailable, where_ + " does not let commands run: " + why, {}};
}

/// False: the connection did not take it.
bool CommandJob::send_input(ssh_channel channel) {
  while (sent_bytes_ < input_.size()) {
    const std::size_t window = ssh_channel_window_size(channel);
    const std::size_t piece = std::min({input_.size() - sent_bytes_, window, piece_bytes});
    if (piece == 0) return true;
    const int sent = ssh_channel_write(channel, input_.data() + sent_bytes_, static_cast<std::uint32_t>(piece));
    if (sent < 0) return false;
    if (sent == 0) return true;
    sent_bytes_ += static_cast<std::size_t>(sent);
  }
  if (!sent_all_) sent_all_ = ssh_channel_send_eof(channel) == SSH_OK;
  return true;
}

void CommandJob::receive(ssh_channel channel, MarkedChannel& into, int is_stderr) {
  std::array<char, piece_bytes> buffer;
  for (int piece = 0; piece < pieces_at_once; ++piece) {
    const int got = ssh_channel_read_nonblocking(channel, buffer.data(), buffer.size(), is_stderr);
    if (got <= 0) return;
    into.take({buffer.data(), static_cast<std::size_t>(got)});
  }
  more_ = true;
}

bool CommandJob::move(ssh_channel channel) {
  // Seen before reading: then everything that came before the close is read below.
  const bool ended = closed_by_server() || ssh_channel_is_eof(channel) != 0;
  receive(channel, out_, 0);
  receive(channel, err_, 1);
  if (out_.ended() && err_.ended()) {
    conclude();
    return false;
  }
  if (ended && !more_) {
    finish(broken_off());
    return false;
  }
  // A command that reads no more closes its input, which is no fault.
  send_input(channel);
  return true;
}

void CommandJob::conclude() {
  const std::string& word = out_.word();
  if (word == "absent")
    return finish(Error{Status::not_found, "there is no program " + program_ + " on " + where_, {}});
  if (word == "refused") {
    return finish(Error{Status::invalid_argument, "cannot start " + program_ + " on " + where_, {}});
  }
  int code = 0;
  const auto [stop, failed] = std::from_chars(word.data(), word.data() + word.size(), code);
  if (failed != std::errc() || stop != word.data() + word.size()) {
    return finish(Error{Status::unavailable, where_ + " told no exit code of " + program_, {}});
  }
  {
    const std::lock_guard lock(mutex_);
    output_ = Output{code, std::move(out_.text()), std::move(err_.text())};
  }
  finish({});
}

Error CommandJob::broken_off() {
  if (out_.begun()) {
    return {Status::unavailable, program_ + " on " + where_ + " broke off; what it did is not known", err_.text()};
  }
  return {Status::unavailable,
          "the login shell on " + where_ + " did not run " + program_ + ": the user needs a POSIX shell",
          (out_.prelude() + err_.prelude()).substr(0, prelude_shown_bytes)};
}

/// SSH's own signals do not reach commands of root, for whom OpenSSH does not separate privileges. A pid that is none
/// was not written by the script.
std::shared_ptr<Job> CommandJob::take_clean_up() {
  const std::string& pid = out_.pid();
  const bool known = !pid.empty() && pid.find_first_not_of("0123456789") == std::string::npos;
  if (!abandoned() || cleaned_up_ || !known || out_.ended()) return nullptr;
  cleaned_up_ = true;
  const Command command = kill_command(token_, pid);
  const std::string token = new_token();
  auto line = command_line(command, token);
  if (!line) return nullptr;
  return std::make_shared<CommandJob>(command, *std::move(line), token);
}

StreamJob::StreamJob(std::string address, std::uint16_t port) : address_(std::move(address)), port_(port) {}

int StreamJob::open(ssh_channel channel) {
  // The originator is for the server's log; a real one would tell it nothing.
  if (port_ == 0) return ssh_channel_open_forward_unix(channel, address_.c_str(), "127.0.0.1", 0);
  return ssh_channel_open_forward(channel, address_.c_str(), port_, "127.0.0.1", 0);
}

int StreamJob::begin(ssh_channel /*channel*/) {
  if (!make_ends()) return SSH_ERROR;
  finish({});
  return SSH_OK;
}

Error StreamJob::cannot_open(const std::string& why) {
  refused_ = true;
  const std::string to = port_ == 0 ? address_ : address_ + ":" + std::to_string(port_);
  return {Status::unavailable, "cannot connect to " + to + " on " + where_ + ": " + why, {}};
}

bool BridgeJob::make_ends() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return false;
  near_ = Fd(ends[0]);
  const std::lock_guard lock(mutex_);
  far_ = Fd(ends[1]);
  return true;
}

Result<Fd> BridgeJob::outcome() {
  const std::lock_guard lock(mutex_);
  if (error_) return *error_;
  return std::move(far_);
}

pollfd BridgeJob::interest() const {
  int events = 0;
  if (!for_local_.empty()) events |= POLLOUT;
  if (!local_ended_ && !window_full_ && for_remote_.empty()) events |= POLLIN;
  return {near_.get(), static_cast<short>(events), 0};
}

bool BridgeJob::at_end(ssh_channel channel) { return ssh_channel_is_eof(channel) != 0 || closed_by_server(); }

/// What the socket does not take stays here, then in libssh, and at last in the server, whose window is then full.
bool BridgeJob::to_local(ssh_channel channel) {
  for (int piece = 0; piece < pieces_at_once; ++piece) {
    if (for_local_.empty() && !remote_ended_) {
      for_local_.resize(piece_bytes);
      const int got = ssh_channel_read_nonblocking(channel, for_local_.data(), piece_bytes, 0);
      for_local_.resize(static_cast<std::size_t>(std::max(got, 0)));
      if (got <= 0 && at_end(channel)) {
        remote_ended_ = true;
        ::shutdown(near_.get(), SHUT_WR);
      }
    }
    if (for_local_.empty()) return !closed_by_server();
    const auto sent = ::send(near_.get(), for_local_.data(), for_local_.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    for_local_.erase(0, static_cast<std::size_t>(sent));
  }
  more_ = true;
  return true;
}

bool BridgeJob::to_remote(ssh_channel channel) {
  for (int piece = 0; piece < pieces_at_once; ++piece) {
    if (for_remote_.empty() && !local_ended_) {
      const std::size_t window = ssh_channel_window_size(channel);
      window_full_ = window == 0;
      if (window_full_) return true;
      for_remote_.resize(std::min(window, piece_bytes));
      const auto got = ::recv(near_.get(), for_remote_.data(), for_remote_.size(), 0);
      for_remote_.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      if (got == 0) {
        local_ended_ = true;
        ssh_channel_send_eof(channel);
      }
    }
    if (for_remote_.empty()) break;
    const int sent = ssh_channel_write(channel, for_remote_.data(), static_cast<std::uint32_t>(for_remote_.size()));
    if (sent < 0) return false;
    if (sent == 0) return true;
    for_remote_.erase(0, static_cast<std::size_t>(sent));
  }
  // A caller that only said that it writes no more still reads; one that closed its end hangs up.
  pollfd end{near_.get(), 0, 0};
  return ::poll(&end, 1, 0) <= 0 || (end.revents & (POLLHUP | POLLERR)) == 0;
}

void BridgeJob::on_lost() {
  broken_ = true;
  near_.reset();
}

}  // namespace k4t::transport
