#include <array>
#include <cstdio>
#include <random>
#include <string>
#include <utility>

#include "suite.hpp"

namespace k4t::conformance {
namespace {

struct GatewayContract {
  using State = gateway::State;
  using Observe = gateway::method::Observe;
  using Prepare = gateway::method::Prepare;
  using Commit = gateway::method::Commit;
  using Abort = gateway::method::Abort;
};

struct DnsContract {
  using State = dns::State;
  using Observe = dns::method::Observe;
  using Prepare = dns::method::Prepare;
  using Commit = dns::method::Commit;
  using Abort = dns::method::Abort;
};

using Seen = std::optional<Register>;

std::string random_hex32() {
  static std::random_device source;
  std::array<char, 33> text{};
  std::snprintf(text.data(), text.size(), "%08x%08x%08x%08x", source(), source(), source(), source());
  return text.data();
}

std::string text_of(const Seen& seen) { return seen ? Json(*seen).dump() : std::string("BLANK"); }

/// What must not change where a verb answers CONFLICT. Staged copies are a cache, and `detail` is prose.
bool same_state(const Observation& left, const Observation& right) {
  return left.stored == right.stored && left.served == right.served && left.content == right.content &&
         left.half == right.half;
}

/// One target on its way to a participant.
template <class State>
struct Change {
  Seen seen;
  Register target;
  State state;
};

/// The suite for one kind. Every check starts from `observed()` and chooses a fresh version and txn.
template <class Contract>
class ParticipantSuite {
 public:
  using State = typename Contract::State;
  using Prepare = PrepareRequest<State>;

  ParticipantSuite(std::string prefix, const ParticipantSubject<State>& subject)
      : subject_(subject), suite_(std::move(prefix), subject) {}

  Findings run() {
    blank();
    first_commit();
    conflicts();
    staging();
    versions();
    survival();
    suite_.check_edge(Contract::Observe::name, Json::object(), Contract::Commit::name,
                      Json{{"seen", nullptr}, {"target", "not an object"}});
    suite_.check("usable_to_the_end", [&] { return deploy(7); });
    return suite_.take();
  }

 private:
  // The verbs ------------------------------------------------------------------------------------------------------

  Result<Observation> observe(Callee& driver) {
    ObserveRequest<State> request;
    request.expected = expected_;
    // As the master asks: which run wrote the register last it does not know.
    if (request.expected) request.expected->at.writer.clear();
    return invoke<typename Contract::Observe>(driver, request, suite_.options());
  }
  Result<Observation> observe() { return observe(suite_.driver()); }

  Result<Nothing> prepare(const Change<State>& change, std::optional<State> base = std::nullopt) {
    return invoke<typename Contract::Prepare>(
        suite_.driver(), Prepare{change.seen, change.target, change.state, std::move(base)}, suite_.options());
  }
  Result<CommitReply> commit(const Change<State>& change) {
    return invoke<typename Contract::Commit>(suite_.driver(), CommitRequest{change.seen, change.target},
                                             suite_.options());
  }
  Result<Nothing> abort(const std::string& txn) {
    return invoke<typename Contract::Abort>(suite_.driver(), AbortRequest{txn}, suite_.options());
  }

  // Building blocks ------------------------------------------------------------------------------------------------

  std::string next_writer() { return run_ + "." + std::to_string(++writes_); }

  /// The change from what is observed now to state n, `step` versions on.
  Result<Change<State>> change_to(unsigned n, std::uint64_t step = 1) {
    K4T_ASSIGN(const Observation now, observe());
    const std::uint64_t version = (now.stored ? now.stored->version : 0) + step;
    return Change<State>{now.stored, {subject_.cluster, version, random_hex32(), next_writer()}, subject_.state(n)};
  }

  /// The same with another writer seen than the one that is there.
  Result<Change<State>> change_from_wrong_register(unsigned n) {
    K4T_ASSIGN(auto change, change_to(n));
    if (!change.seen) return unmet("a state was committed before");
    change.seen->writer = next_writer();
    return change;
  }

  Expectation committed(const Change<State>& change) {
    K4T_TRY(expect_ok(commit(change), "commit of what was prepared"));
    expected_ = Expected<State>{change.target, change.state};
    return serves(change.target, change.state);
  }

  /// The participant shows exactly this target, and the server really answers it.
  Expectation serves(const Register& target, const State& state) {
    K4T_ASSIGN(const Observation now, observe());
    K4T_TRY(expect(now.stored == Seen(target),
                   "stored is the target " + text_of(target) + "; it is " + text_of(now.stored)));
    K4T_TRY(expect(now.served == now.stored, "served equals stored; it is " + text_of(now.served)));
    K4T_TRY(expect(now.content == Content::clean, "content is clean: " + now.detail));
    K4T_TRY(expect(!now.half, "no commit is half done: " + now.detail));
    const std::string difference = subject_.differs ? subject_.differs(state) : std::string();
    return expect(difference.empty(), "the server itself answers the target: " + difference);
  }

  Expectation deploy(unsigned n, std::uint64_t step = 1) {
    K4T_ASSIGN(const auto change, change_to(n, step));
    K4T_TRY(expect_ok(prepare(change), "prepare"));
    return committed(change);
  }

  /// `call` answers CONFLICT and nothing has changed.
  template <class Verb>
  Expectation conflicts_without_effect(Verb&& call, std::string_view what) {
    K4T_ASSIGN(const Observation before, observe());
    K4T_TRY(expect_status(call(), Status::conflict, what));
    K4T_ASSIGN(const Observation after, observe());
    return expect(same_state(before, after), "a CONFLICT changes nothing");
  }

  // The checks -----------------------------------------------------------------------------------------------------

  void blank() {
    suite_.check("blank_server_shows_blank", [&]() -> Expectation {
      K4T_ASSIGN(const Observation now, observe());
      K4T_TRY(expect(!now.stored && !now.served, "a server on which k4t never wrote shows no register; it shows " +
                                                     text_of(now.stored) + " and " + text_of(now.served)));
      return expect(!now.half && now.staged.empty(), "nothing is half done or staged on a blank server");
    });
    suite_.check("register_seen_on_blank_server_is_conflict", [&] {
      Change<State> change{Register{subject_.cluster, 1, random_hex32(), next_writer()},
                           {subject_.cluster, 2, random_hex32(), next_writer()},
                           subject_.state(0)};
      return conflicts_without_effect([&] { return prepare(change); }, "prepare that believes in a register");
    });
  }

  void first_commit() {
    suite_.check("commit_that_was_not_staged_is_not_found", [&]() -> Expectation {
      K4T_ASSIGN(const auto change, change_to(0));
      return expect_status(commit(change), Status::not_found, "commit of what was never prepared");
    });
    suite_.check("prepare_changes_nothing_served", [&]() -> Expectation {
      K4T_ASSIGN(const Observation before, observe());
      K4T_ASSIGN(const auto change, change_to(0));
      K4T_TRY(expect_ok(prepare(change), "prepare"));
      K4T_ASSIGN(const Observation after, observe());
      K4T_TRY(expect(same_state(before, after), "prepare leaves register and content alone"));
      return expect_ok(abort(change.target.txn), "abort");
    });
    suite_.check("each_verb_twice", [&] { return every_verb(2); });
    suite_.check("each_verb_ten_times", [&] { return every_verb(10); });
  }

  Expectation every_verb(int times) {
    K4T_ASSIGN(const auto change, change_to(static_cast<unsigned>(times)));
    for (int i = 0; i < times; ++i) K4T_TRY(expect_ok(prepare(change), "prepare number " + std::to_string(i + 1)));
    for (int i = 0; i < times; ++i) {
      if (const auto done = committed(change); !done)
        return done.error().within("commit number " + std::to_string(i + 1));
    }
    K4T_ASSIGN(const Observation first, observe());
    for (int i = 0; i < times; ++i) {
      K4T_ASSIGN(const Observation again, observe());
      K4T_TRY(expect(same_state(first, again), "observing changes nothing"));
    }
    for (int i = 0; i < times; ++i) K4T_TRY(expect_ok(abort(change.target.txn), "abort after commit"));
    return serves(change.target, change.state);
  }

  void conflicts() {
    suite_.check("prepare_with_wrong_register_is_conflict", [&]() -> Expectation {
      K4T_ASSIGN(const auto change, change_from_wrong_register(1));
      return conflicts_without_effect([&] { return prepare(change); }, "prepare with another writer seen");
    });
    suite_.check("prepare_with_blank_seen_is_conflict", [&]() -> Expectation {
      K4T_ASSIGN(auto change, change_to(1));
      change.seen.reset();
      return conflicts_without_effect([&] { return prepare(change); }, "prepare with BLANK seen");
    });
    suite_.check("commit_with_wrong_register_is_conflict", [&]() -> Expectation {
      K4T_ASSIGN(auto change, change_to(1));
      K4T_TRY(expect_ok(prepare(change), "prepare"));
      K4T_TRY(expect(change.seen.has_value(), "a state was committed before"));
      change.seen->writer = next_writer();
      return conflicts_without_effect([&] { return commit(change); }, "commit with another writer seen");
    });
    suite_.check("of_two_changes_one_wins", [&] { return race(); });
  }

  /// Two masters prepare from the same register; the second commit comes too late.
  Expectation race() {
    K4T_ASSIGN(const auto winner, change_to(2));
    K4T_ASSIGN(const auto loser, change_to(3));
    K4T_TRY(expect_ok(prepare(winner), "prepare by the first"));
    K4T_TRY(expect_ok(prepare(loser), "prepare by the second, for prepare locks nothing"));
    // A participant may keep one stage only; then the first has to prepare again.
    if (commit(winner).status() == Status::not_found) K4T_TRY(expect_ok(prepare(winner), "prepare again"));
    K4T_TRY(committed(winner));
    K4T_TRY(conflicts_without_effect([&] { return commit(loser); }, "the commit that comes too late"));
    return serves(winner.target, winner.state);
  }

  void staging() {
    suite_.check("abort_of_unknown_txn_is_ok", [&]() -> Expectation {
      const std::string txn = random_hex32();
      K4T_TRY(expect_ok(abort(txn), "abort of an unknown txn"));
      return expect_ok(abort(txn), "abort of it once more");
    });
    suite_.check("aborted_stage_cannot_be_committed", [&]() -> Expectation {
      K4T_ASSIGN(const auto change, change_to(4));
      K4T_TRY(expect_ok(prepare(change), "prepare"));
      K4T_TRY(shows_staged(change.target.txn, true));
      K4T_TRY(expect_ok(abort(change.target.txn), "abort"));
      K4T_TRY(expect_ok(abort(change.target.txn), "abort once more"));
      K4T_TRY(shows_staged(change.target.txn, false));
      return expect_status(commit(change), Status::not_found, "commit of an aborted txn");
    });
    suite_.check("txn_that_is_none_is_invalid_argument", [&]() -> Expectation {
      K4T_ASSIGN(auto change, change_to(4));
      change.target.txn = "../../k4t";
      return expect_status(prepare(change), Status::invalid_argument, "prepare of a txn that is not 32 hex digits");
    });
  }

  Expectation shows_staged(const std::string& txn, bool wanted) {
    K4T_ASSIGN(const Observation now, observe());
    const bool there = std::find(now.staged.begin(), now.staged.end(), txn) != now.staged.end();
    return expect(there == wanted, wanted ? "what was prepared is shown as staged" : "what was aborted is gone");
  }

  void versions() {
    suite_.check("changes_against_a_base", [&]() -> Expectation {
      K4T_TRY(deploy(1));
      K4T_ASSIGN(const auto change, change_to(2));
      K4T_TRY(expect_ok(prepare(change, subject_.state(1)), "prepare with a base"));
      return committed(change);
    });
    suite_.check("full_state_after_a_base", [&] { return deploy(3); });
    suite_.check("versions_may_be_skipped", [&] { return deploy(4, 5); });
    suite_.check("same_content_under_a_new_version", [&] { return deploy(4); });
    suite_.check("repair_of_the_clean_changes_nothing", [&] { return repair(false); });
    suite_.check_if(static_cast<bool>(suite_.hooks().drift), "the hook drift", "drift_is_seen_and_repaired", [&] {
      suite_.hooks().drift();
      return repair(true);
    });
  }

  /// Commits N to N with a new writer. Where the content is clean the register may keep its old writer.
  Expectation repair(bool drifted) {
    K4T_ASSIGN(const Observation before, observe());
    K4T_TRY(expect(before.stored.has_value() && expected_.has_value(), "a state was committed before"));
    K4T_TRY(expect((before.content == Content::drifted) == drifted,
                   drifted ? "foreign changes are seen as drift" : "nothing has drifted"));
    Change<State> change{before.stored, *before.stored, expected_->state};
    change.target.writer = next_writer();
    K4T_TRY(expect_ok(prepare(change), "prepare of N to N"));
    K4T_TRY(expect_ok(commit(change), "commit of N to N"));
    K4T_ASSIGN(const Observation after, observe());
    const bool kept = !drifted && after.stored == before.stored;
    const Register now = kept ? *before.stored : change.target;
    expected_ = Expected<State>{now, change.state};
    return serves(now, change.state);
  }

  void survival() {
    suite_.check_if(static_cast<bool>(suite_.hooks().restart), "the hook restart", "restart_serves_what_was_committed",
                    [&]() -> Expectation {
                      K4T_TRY(deploy(5));
                      suite_.hooks().restart();
                      return serves(expected_->at, expected_->state);
                    });
    suite_.check_if(static_cast<bool>(suite_.hooks().open_another), "the hook open_another",
                    "another_handle_sees_the_same", [&]() -> Expectation {
                      K4T_TRY(deploy(6));
                      K4T_ASSIGN(const Observation here, observe());
                      const auto other = suite_.hooks().open_another();
                      K4T_ASSIGN(const Observation there, observe(*other));
                      return expect(same_state(here, there), "two handles observe the same");
                    });
  }

  const ParticipantSubject<State>& subject_;
  Suite suite_;
  const std::string run_ = random_hex32();
  std::uint64_t writes_ = 0;
  std::optional<Expected<State>> expected_;
};

}  // namespace

Findings check_gateway(const GatewaySubject& subject) {
  ParticipantSuite<GatewayContract> suite("participant", subject);
  Findings findings = suite.run();
  Suite own("gateway", subject);
  own.check_if(own.has_capability(gateway::capability::endpoint_connections), "capability endpoint.connections",
               "connections_are_counted_for_each_endpoint_asked_for", [&]() -> Expectation {
                 const gateway::ConnectionsRequest request{{{"192.0.2.1", 80}, {"2001:db8::1", 443}}};
                 K4T_ASSIGN(const auto reply,
                            invoke<gateway::method::Connections>(own.driver(), request, own.options()));
                 K4T_TRY(expect(reply.counts.size() == 2, "one count per endpoint"));
                 for (std::size_t i = 0; i < 2; ++i) {
                   K4T_TRY(expect(reply.counts[i].endpoint == request.endpoints[i], "in the order asked for"));
                   K4T_TRY(expect(reply.counts[i].connections == 0, "none to an endpoint that no state names"));
                 }
                 return {};
               });
  for (auto& finding : own.take()) findings.push_back(std::move(finding));
  return findings;
}

namespace {

Expectation witness_swaps(Suite& suite, const std::string& dns_suffix) {
  const std::string id = random_hex32();
  const auto read = [&] { return invoke<dns::method::WitnessRead>(suite.driver(), {dns_suffix, id}, suite.options()); };
  const auto swap = [&](std::optional<std::string> expected, std::optional<std::string> text) {
    return invoke<dns::method::WitnessSwap>(suite.driver(), {dns_suffix, id, std::move(expected), std::move(text)},
                                            suite.options());
  };
  K4T_ASSIGN(const auto none, read());
  K4T_TRY(expect(!none.text, "a register that was never written is absent"));
  K4T_TRY(expect_status(swap("other", "first"), Status::conflict, "a swap that expects what is not there"));
  K4T_TRY(expect_ok(swap(std::nullopt, "first"), "the first swap"));
  K4T_TRY(expect_status(swap(std::nullopt, "second"), Status::conflict, "a swap that expects nothing"));
  K4T_ASSIGN(const auto first, read());
  K4T_TRY(expect(first.text == "first", "a swap that was refused changes nothing"));
  K4T_TRY(expect_ok(swap("first", R"(1 "two"; \three)"), "a swap to text with quotes, a semicolon, a backslash"));
  K4T_ASSIGN(const auto second, read());
  K4T_TRY(expect(second.text == R"(1 "two"; \three)", "text comes back unchanged"));
  K4T_TRY(expect_ok(swap(R"(1 "two"; \three)", std::nullopt), "deleting"));
  K4T_ASSIGN(const auto gone, read());
  return expect(!gone.text, "a deleted register is absent");
}

}  // namespace

Findings check_dns(const DnsSubject& subject) {
  ParticipantSuite<DnsContract> suite("participant", subject);
  Findings findings = suite.run();
  Suite own("dns", subject);
  own.check_if(own.has_capability(dns::capability::witness), "capability witness", "witness_compares_and_swaps",
               [&] { return witness_swaps(own, subject.state(0).suffix); });
  for (auto& finding : own.take()) findings.push_back(std::move(finding));
  return findings;
}

gateway::State small_gateway_state(std::uint16_t port, unsigned n) {
  gateway::Backend backend;
  backend.name = "web";
  backend.endpoints = {{"127.0.0.1", static_cast<std::uint16_t>(20000 + n)}};
  gateway::Listener listener;
  listener.port = port;
  listener.routes = {{"", "/", backend.name, std::nullopt, std::nullopt}};
  return {{std::move(listener)}, {std::move(backend)}};
}

dns::State small_dns_state(const std::string& suffix, unsigned n) {
  const std::string host = "web-" + std::to_string(n) + "." + suffix;
  return {suffix,
          {{"_http._tcp.web." + suffix, dns::Type::srv, 5, {"0 0 " + std::to_string(20000 + n) + " " + host}},
           {"web." + suffix, dns::Type::a, 5, {"192.0.2." + std::to_string(n % 200 + 1)}},
           {"web." + suffix, dns::Type::txt, 5, {"n=" + std::to_string(n)}},
           {host, dns::Type::a, 5, {"192.0.2." + std::to_string(n % 200 + 1)}}}};
}

}  // namespace k4t::conformance
