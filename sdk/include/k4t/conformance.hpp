#pragma once

#include <chrono>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "k4t/dns.hpp"
#include "k4t/gateway.hpp"
#include "k4t/power.hpp"
#include "k4t/runtime.hpp"

/// The conformance suites: does a driver keep the promises of its kind? They drive a real driver on a real server
/// through the same calls as the master and know nothing of the vendor. A driver's own test runs them with one line,
///
///     K4T_EXPECT_CONFORMS(k4t::conformance::check_gateway(subject));     // <k4t/conformance_gtest.hpp>
///
/// and `k4t-conformance PLUGIN.so …` runs them on any plugin. Library k4t::conformance; it needs no test framework.
///
/// Checks run one after the other on the same server, each from what it observes at its start, so one that fails does
/// not make the later ones fail. They run on the calling thread; hooks may throw, which fails the check.

namespace k4t::conformance {

enum class Verdict { passed, failed, skipped };

/// One promise. `check` is its stable name, e.g. "participant.each_verb_twice".
struct Finding {
  std::string check;
  Verdict verdict = Verdict::passed;
  std::string text;  ///< failed: what was expected and what came; skipped: what was missing
};
using Findings = std::vector<Finding>;

/// True when nothing failed.
bool conforms(const Findings& findings);

/// One line per finding, failures with their text.
std::ostream& operator<<(std::ostream& out, const Finding& finding);

/// What a suite may do to the world around the driver. A hook that is not set skips the checks that need it, and the
/// finding says so. Each returns once the change has taken effect.
struct Hooks {
  std::function<void()> take_down;  ///< the server does not answer any more
  std::function<void()> bring_up;   ///< it answers again, with what it had stored
  std::function<void()> restart;    ///< both, in one
  std::function<void()> freeze;     ///< the server's processes stop (SIGSTOP): connections hang
  std::function<void()> thaw;       ///< they go on
  std::function<void()> drift;      ///< somebody else changes what is served, without touching the register
  /// A second handle on the same server, as a master that was just started would open. Its lifetime is the check's.
  std::function<std::unique_ptr<Callee>()> open_another;
};

/// What is common to all suites. `driver` is not owned and outlives the suite.
struct Subject {
  Callee* driver = nullptr;
  std::vector<std::string> capabilities;  ///< of the manifest: what is not listed is not asked for
  Hooks hooks;
  std::chrono::milliseconds timeout = std::chrono::seconds(30);  ///< of every call
  /// How long after its deadline a call may return.
  std::chrono::milliseconds deadline_slack = std::chrono::seconds(3);
};

/// A member of a group. REQUIRES: k4t has never written to this server (it is BLANK).
template <class State>
struct ParticipantSubject : Subject {
  /// The n-th of many small states that this server can serve, n from 0. Equal n: equal states; other n: other states.
  std::function<State(unsigned n)> state;
  /// Asks the server itself, not the driver, whether it serves this state: empty, or what differs. Optional.
  std::function<std::string(const State&)> differs;
  std::string cluster = "conformance";
};

using GatewaySubject = ParticipantSubject<gateway::State>;
using DnsSubject = ParticipantSubject<dns::State>;

Findings check_gateway(const GatewaySubject& subject);
Findings check_dns(const DnsSubject& subject);

/// A gateway State for subjects without wishes of their own: one HTTP listener on `port`, one backend whose only
/// endpoint, 127.0.0.1:20000+n, need not exist.
gateway::State small_gateway_state(std::uint16_t port, unsigned n);

/// A DNS State below `suffix`: an address, a service and a text record, all of which depend on n.
dns::State small_dns_state(const std::string& suffix, unsigned n);

struct RuntimeSubject : Subject {
  std::string cluster = "conformance";
  /// An instance that runs until it is stopped and first prints `log_line`. Name and labels are the suite's to set.
  runtime::InstanceSpec instance;
  std::string log_line;      ///< empty: logs are not looked at
  std::string foreign_name;  ///< an instance on the node that carries no k4t.cluster label; empty: there is none
  std::vector<std::string> exec_command = {"true"};  ///< run in the instance with capability exec; exits with 0
};

/// REQUIRES: nothing in `cluster` runs on the node. Leaves nothing behind where the driver conforms.
Findings check_runtime(const RuntimeSubject& subject);

struct PowerSubject : Subject {
  std::string machine;  ///< the id of one that may be started and stopped
};

/// Leaves the machine asked to start.
Findings check_power(const PowerSubject& subject);

}  // namespace k4t::conformance
