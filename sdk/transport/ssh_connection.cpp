#include "ssh_connection.hpp"

#include <libssh/server.h>
#include <sys/eventfd.h>

#include <algorithm>

#include "ssh_dial.hpp"

namespace k4t::transport {
namespace {

using std::chrono::milliseconds;

/// OpenSSH's MaxSessions is 10 unless somebody changed it; two are left for closes that are on their way.
constexpr std::size_t sessions_at_once = 8;
/// How soon a closing job is looked at again, in case the server never confirms it.
constexpr milliseconds closing_poll{500};
/// Refusals in a row, with no session running, after which the server allows none.
constexpr int refusals_at_most = 3;
constexpr milliseconds linger_patience{500};
/// More than a server needs for a step of a handshake, also a busy and distant one; little enough to lose one turn for.
constexpr milliseconds turn_patience{500};

}  // namespace

SshConnection::SshConnection(SshTarget target, SshOptions options, std::shared_ptr<SshConnection> jump)
    : target_(std::move(target)),
      options_(std::move(options)),
      name_(target_.url()),
      jump_(std::move(jump)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      session_limit_(sessions_at_once) {}

SshConnection::~SshConnection() {
  stopping_ = true;
  agent_.interrupt();
  notice();
  if (thread_.joinable()) thread_.join();
}

void SshConnection::notice() { ::eventfd_write(wake_.get(), 1); }

void SshConnection::submit(std::shared_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(job));
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  notice();
}

void SshConnection::run() {
  while (!stopping_) {
    if (session_ == nullptr && has_waiting()) {
      const auto connected = connect();
      if (!connected) fail_waiting(connected.error());
    }
    if (session_ != nullptr) work();
    if (!stopping_) sleep();
  }
  linger();
  lose("this program ended the connection");
  fail_waiting({Status::unavailable, name_ + ": this program ended the connection", {}});
}

/// Commands that were given up a moment ago are still killed, if the server is quick.
void SshConnection::linger() {
  const auto until = Clock::now() + linger_patience;
  while (session_ != nullptr && Clock::now() < until) {
    work();
    if (clean_ups_.empty()) return;
    sleep();
  }
}

bool SshConnection::has_waiting() {
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [](const auto& job) { return job->abandoned(); });
  return !waiting_.empty();
}

void SshConnection::fail_waiting(const Error& why) {
  std::deque<std::shared_ptr<Job>> failed;
  {
    const std::lock_guard lock(mutex_);
    failed.swap(waiting_);
  }
  for (const auto& job : failed) job->refuse(why);
}

/// Without an error and without a session where no job waits for it any more.
Result<void> SshConnection::connect() {
  begun_ = Clock::now() - queued();
  K4T_ASSIGN(Fd socket, connect_socket());
  Turn turn(handshake_turns(), wake_.get());
  K4T_ASSIGN(const bool wanted, await_turn(turn));
  if (!wanted) return {};
  heard_ = Clock::now();
  const auto wait = [&](int fd, short events, milliseconds patience) {
    return wait_in_turn(turn, fd, events, patience);
  };
  K4T_ASSIGN(session_, SshSession::open(target_, options_, std::move(socket), agent_, turn, wait));
  session_limit_ = sessions_at_once;
  refusals_ = 0;
  heard_ = Clock::now();
  asked_ = false;
  return {};
}

Result<Fd> SshConnection::connect_socket() {
  const auto wait = [this](int fd, short events, milliseconds patience) { return wait_for(fd, events, patience); };
  if (jump_ == nullptr) return dial(target_, wait);
  const auto stream = std::make_shared<StreamJob>(target_.host, target_.port);
  jump_->submit(stream);
  const auto given_up = [this] { return stopping_ || time_left() <= milliseconds(0); };
  if (!stream->wait(Clock::time_point::max(), given_up)) {
    jump_->notice();
    return Error{Status::unavailable, name_ + " did not answer in time through " + jump_->name(), {}};
  }
  auto socket = stream->outcome();
  if (!socket) return socket.error().within(name_);
  return socket;
}

/// How long this and its jump host have waited for their turns since they exist: no server can be blamed for it.
SshConnection::Clock::duration SshConnection::queued() const {
  return in_queue_.total() + (jump_ == nullptr ? Clock::duration() : jump_->queued());
}

milliseconds SshConnection::time_left() const {
  const auto spent = Clock::now() - queued() - begun_;
  return std::chrono::ceil<milliseconds>(milliseconds(options_.connect_timeout_ms) - spent);
}

Result<bool> SshConnection::wait_for(int fd, short events, milliseconds patience) {
  const auto left = time_left();
  if (left.count() <= 0) return Error{Status::unavailable, name_ + " did not answer in time", {}};
  return poll_both(fd, events, std::min(left, patience));
}

/// True: `fd` is ready. Ends early with a notice.
Result<bool> SshConnection::poll_both(int fd, short events, milliseconds patience) {
  pollfd ready[2] = {{fd, events, 0}, {wake_.get(), POLLIN, 0}};
  ::poll(ready, 2, static_cast<int>(patience.count()));
  if (ready[1].revents != 0) {
    eventfd_t ignored = 0;
    ::eventfd_read(wake_.get(), &ignored);
  }
  if (stopping_) return Error{Status::unavailable, name_ + ": this program ended the connection", {}};
  return ready[0].revents != 0;
}

/// False: no job waits for the connection any more.
Result<bool> SshConnection::await_turn(Turn& turn) {
  const Stopwatch::Run counting(in_queue_);
  while (has_waiting()) {
    if (turn.take()) return true;
    K4T_TRY(poll_both(-1, 0, milliseconds(-1)));
  }
  return false;
}

/// A silent server must not keep the turn; what it says later finds this one's place before that of others.
Result<bool> SshConnection::wait_in_turn(Turn& turn, int fd, short events, milliseconds patience) {
  K4T_ASSIGN(const bool ready, wait_for(fd, events, patience));
  if (ready) {
    K4T_TRY(await_turn(turn));
    heard_ = Clock::now();
  } else if (Clock::now() - heard_ >= turn_patience) {
    turn.give_back();
  }
  return ready;
}

std::size_t SshConnection::occupied() const {
  return static_cast<std::size_t>(
      std::count_if(active_.begin(), active_.end(), [](const auto& job) { return job->occupies(); }));
}

/// Streams do not count: OpenSSH limits sessions, not forwardings.
void SshConnection::take_up() {
  std::size_t room = session_limit_ - std::min(session_limit_, occupied());
  const std::lock_guard lock(mutex_);
  for (auto job = waiting_.begin(); job != waiting_.end();) {
    if ((*job)->is_session() && room == 0) {
      ++job;
      continue;
    }
    room -= (*job)->is_session() ? 1 : 0;
    active_.push_back(std::move(*job));
    job = waiting_.erase(job);
  }
}

/// One channel's read may take another one's bytes from the socket, for which no poll would wake us: so all are asked
/// until nothing more came.
void SshConnection::work() {
  bool moving = true;
  do {
    take_up();
    session_->pump();
    if (!session_->alive()) return lose(session_->error());
    moving = advance_all();
    if (!session_->alive()) return lose(session_->error());
    settle_crowded();
  } while (moving && !stopping_);
  if (!keep_alive()) lose("no sign of life for " + std::to_string(2 * options_.keep_alive_ms) + " ms");
}

bool SshConnection::advance_all() {
  bool more = false;
  for (const auto& job : active_) {
    job->advance(session_->raw(), name_);
    more = more || job->has_more();
  }
  for (std::size_t i = 0, jobs = active_.size(); i < jobs; ++i) {
    auto clean_up = active_[i]->take_clean_up();
    if (clean_up == nullptr) continue;
    clean_ups_.push_back(clean_up);
    active_.push_back(std::move(clean_up));
    more = true;
  }
  std::erase_if(active_, [](const auto& job) { return job->over() && !job->crowded_out(); });
  std::erase_if(clean_ups_, [](const auto& job) { return job->over(); });
  const bool received = session_->received_bytes() != seen_bytes_;
  if (received) {
    seen_bytes_ = session_->received_bytes();
    heard_ = Clock::now();
    asked_ = false;
  }
  return more || received;
}

/// A server with a lower MaxSessions refuses a session while others run: fewer are then used from now on.
void SshConnection::settle_crowded() {
  const std::size_t running = occupied();
  if (running > 0) refusals_ = 0;
  std::vector<std::shared_ptr<Job>> again;
  for (const auto& job : active_) {
    if (!job->crowded_out()) continue;
    // The others may have ended while the refusal was on its way.
    if (running == 0 && ++refusals_ > refusals_at_most) {
      job->give_up();
      continue;
    }
    session_limit_ = std::max<std::size_t>(running, 1);
    job->try_again();
    again.push_back(job);
  }
  std::erase_if(active_, [&](const auto& job) {
    return job->over() || std::find(again.begin(), again.end(), job) != again.end();
  });
  const std::lock_guard lock(mutex_);
  waiting_.insert(waiting_.begin(), again.begin(), again.end());
}

void SshConnection::lose(const std::string& why) {
  session_limit_ = sessions_at_once;
  std::vector<std::shared_ptr<Job>> again;
  for (const auto& job : active_) {
    const Error error{
        Status::unavailable, name_ + ": the connection was lost: " + why + "; what was under way is not known", {}};
    if (job->connection_lost(error)) again.push_back(job);
  }
  active_.clear();
  clean_ups_.clear();
  session_.reset();
  seen_bytes_ = 0;
  const std::lock_guard lock(mutex_);
  waiting_.insert(waiting_.begin(), again.begin(), again.end());
}

/// False: the server was asked for a sign of life and gave none.
bool SshConnection::keep_alive() {
  const auto silent = Clock::now() - heard_;
  const milliseconds patience(options_.keep_alive_ms);
  if (silent >= 2 * patience) return false;
  if (silent >= patience && !asked_) {
    // The first of two calls may do no more than take libssh's note of the last answer away.
    ssh_send_keepalive(session_->raw());
    ssh_send_keepalive(session_->raw());
    session_->pump();
    asked_ = true;
  }
  return true;
}

void SshConnection::sleep() {
  std::vector<pollfd> ready{{wake_.get(), POLLIN, 0}};
  auto timeout = milliseconds(-1);
  if (session_ != nullptr) {
    ready.push_back({session_->fd(), session_->events(), 0});
    const auto next = heard_ + milliseconds(options_.keep_alive_ms) * (asked_ ? 2 : 1);
    timeout = std::max(milliseconds(0), std::chrono::ceil<milliseconds>(next - Clock::now()));
    for (const auto& job : active_) {
      if (const auto wanted = job->interest(); wanted.fd >= 0) ready.push_back(wanted);
    }
    if (!active_.empty()) timeout = std::min(timeout, closing_poll);
  } else if (has_waiting()) {
    return;
  }
  ::poll(ready.data(), ready.size(), static_cast<int>(timeout.count()));
  if (ready[0].revents != 0) {
    eventfd_t ignored = 0;
    ::eventfd_read(wake_.get(), &ignored);
  }
}

}  // namespace k4t::transport
