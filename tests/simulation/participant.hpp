#pragma once

#include <array>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config.hpp"
#include "hash.hpp"
#include "reply.hpp"

namespace k4t::simulation {

/// What a participant holds: a register, and in each part of its content the txn of the state that it comes from. A
/// gateway replaces all at once; a DNS server of large zones part by part, and `from` says that it has not ended.
struct Face {
  std::optional<Register> at;
  std::array<std::string, 2> parts;
  std::optional<std::uint64_t> from;
  unsigned chunk = 0;

  /// Nothing is open, and all content is of the state that the register names.
  [[nodiscard]] bool whole() const;
  friend bool operator==(const Face&, const Face&) = default;
};

/// Content that no run wrote.
inline constexpr const char* kByHand = "by hand";

/// A commit's way through its messages: one for a gateway, perhaps several for a DNS server.
struct CommitStep {
  unsigned chunk = 0;
  Face expected;  ///< from the second chunk on: what the first ones wrote
  bool more = false;
};

/// How a commit goes wrong in the middle.
enum class Mishap { none, not_activated, power_cut };

/// A participant: the contract of k4t/participant.hpp in memory. What is *stored* is served after a restart; what is
/// *served* is what the running server answers.
class Server {
 public:
  explicit Server(txn::Participant who) : who_(std::move(who)) {}

  [[nodiscard]] Reply observe(const txn::EntryPtr& expected) const;
  Reply prepare(const Config& config, const txn::Preparation& what);
  /// One message of it. With `step.more` afterwards, the reply is not one yet and the next message is to be sent.
  Reply commit(const Config& config, const CommitRequest& what, Mishap mishap, CommitStep& step);
  void abort(const std::string& txn) { staged_.erase(txn); }

  void restart();
  /// Part of its content is changed by hand, and its register stays.
  void drift();
  [[nodiscard]] bool drifted() const { return served_.parts.front() == kByHand; }
  /// Replaced by an empty machine.
  void replace();
  /// Set back to the `index`-th state that it served.
  void rewind(std::size_t index);
  [[nodiscard]] std::size_t past() const { return past_.size(); }
  void keep_past() { past_.push_back(stored_); }

  [[nodiscard]] const txn::Participant& who() const { return who_; }
  [[nodiscard]] const Face& stored() const { return stored_; }
  [[nodiscard]] const Face& served() const { return served_; }
  void hash_into(Hash& hash) const;

  bool away = false;  ///< answers nobody

 private:
  Reply commit_at_once(const Config& config, const CommitRequest& what, Mishap mishap);
  Reply commit_chunk(const Config& config, const CommitRequest& what, CommitStep& step);
  [[nodiscard]] std::string content_for(const Config& config, const Register& target) const;
  void write(const Config& config, Face next);

  txn::Participant who_;
  Face stored_;
  Face served_;
  std::set<std::string> staged_;  ///< txns
  std::optional<Register> last_staged_;
  std::vector<Face> past_;
  std::optional<Face> unsynced_before_;  ///< only a mistake leaves one
};

}  // namespace k4t::simulation
