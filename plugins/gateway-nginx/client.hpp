#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "k4t/gateway.hpp"
#include "k4t/transport.hpp"
#include "options.hpp"
#include "snapshot.hpp"
#include "sockets.hpp"

namespace k4t::nginx {

/// What an evident success of `activate` leaves.
struct Activated {
  Register at;           ///< the register that is in place: the target's txn
  std::string evidence;  ///< for people
};

/// Talks to one nginx and its host. Every answer is checked; UNAVAILABLE and DEADLINE mean that nothing is known.
/// Not thread-safe. The time of each call is that of `call`.
class Client {
 public:
  /// `options` have been checked.
  Client(std::shared_ptr<transport::Host> host, Options options);

  Result<Snapshot> look(Call& call);

  /// The register that the running server answers; nothing where it is known that no status listener exists.
  Result<std::optional<Register>> served(const Snapshot& at, Call& call);

  /// What the live version listens at, as gateway::socket_text writes it.
  Result<std::set<std::string>> live_listens(Call& call);
  Result<std::vector<SocketLine>> established(const std::vector<gateway::Endpoint>& to, Call& call);

  /// INVALID_ARGUMENT with nginx's own words, CONFLICT, UNAVAILABLE where nginx does not run, or staged under
  /// target.txn. Answers who listens, which is for the caller to judge.
  Result<Listening> stage(const std::optional<Register>& seen, const Register& target, const Files& files,
                          bool needs_stream, Call& call);

  /// Swaps, reloads and waits for the workers.
  Result<Activated> activate(const std::optional<Register>& seen, const Register& target, Call& call);

  /// The register that answers now; for a server that is known to have a status listener.
  Result<Register> answered(Call& call);

  Result<void> discard(const std::string& txn, Call& call);

 private:
  /// "BLANK", "UNKNOWN" or the register that the server answers.
  std::string served_text(Call& call);
  Result<std::string> run(std::string_view script, std::vector<std::string> arguments, std::string input, Call& call);
  Result<std::string> sockets(std::vector<std::string> arguments, Call& call);
  [[nodiscard]] std::vector<std::string> nginx_command(std::vector<std::string> arguments) const;

  std::shared_ptr<transport::Host> host_;
  Options options_;
};

}  // namespace k4t::nginx
