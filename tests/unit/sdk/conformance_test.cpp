#include "k4t/conformance_gtest.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "null_driver.hpp"
#include "support/process.hpp"

namespace k4t::conformance {
namespace {

/// The example driver, spoiled in one way.
struct Spoiled : gateway::Driver {
  explicit Spoiled(std::string file) : good(std::move(file)) {}

  Result<Observation> observe(const gateway::ObserveRequest& request, Call& call) override {
    auto seen = good.observe(request, call);
    return on_observe ? on_observe(std::move(seen)) : seen;
  }
  Result<Nothing> prepare(const gateway::PrepareRequest& request, Call& call) override {
    return on_prepare ? on_prepare(request, call) : good.prepare(request, call);
  }
  Result<CommitReply> commit(const CommitRequest& request, Call& call) override {
    return on_commit ? on_commit(request, call) : good.commit(request, call);
  }
  Result<Nothing> abort(const AbortRequest& request, Call& call) override {
    return on_abort ? on_abort(request, call) : good.abort(request, call);
  }
  Result<gateway::ConnectionsReply> connections(const gateway::ConnectionsRequest& request, Call& call) override {
    return on_connections ? on_connections(request, call) : good.connections(request, call);
  }

  null::NullGateway good;
  std::function<Result<Observation>(Result<Observation>)> on_observe;
  std::function<Result<Nothing>(const gateway::PrepareRequest&, Call&)> on_prepare;
  std::function<Result<CommitReply>(const CommitRequest&, Call&)> on_commit;
  std::function<Result<Nothing>(const AbortRequest&, Call&)> on_abort;
  std::function<Result<gateway::ConnectionsReply>(const gateway::ConnectionsRequest&, Call&)> on_connections;
};

class Another final : public Callee {
 public:
  explicit Another(const std::string& file) : driver_(file), callee_(driver_) {}
  Result<Json> call(std::string_view method, const JsonText& request, const CallOptions& options) override {
    return callee_.call(method, request, options);
  }

 private:
  null::NullGateway driver_;
  DirectCallee<gateway::Kind> callee_;
};

class ConformanceTest : public ::testing::Test {
 protected:
  GatewaySubject subject() {
    GatewaySubject subject;
    subject.driver = &callee_;
    subject.capabilities = {gateway::capability::endpoint_connections};
    subject.state = [](unsigned n) { return small_gateway_state(18080, n); };
    subject.hooks.take_down = [this] { std::filesystem::rename(folder_, down_); };
    subject.hooks.bring_up = [this] { std::filesystem::rename(down_, folder_); };
    subject.hooks.restart = [] {};
    subject.hooks.drift = [this] { drift(); };
    subject.hooks.open_another = [this] { return std::make_unique<Another>(file_); };
    return subject;
  }

  void drift() {
    Json held = Json::parse(k4t::testing::Scratch::read(file_));
    held["state"]["backends"][0]["endpoints"][0]["port"] = 1;
    std::filesystem::remove(file_);
    (void)scratch_.write("server/null.json", held.dump());
  }

  /// The names of the checks that fail, joined.
  std::string failures() {
    std::string names;
    for (const Finding& finding : check_gateway(subject())) {
      if (finding.verdict == Verdict::failed) names += finding.check + "\n";
    }
    return names;
  }

  k4t::testing::Scratch scratch_;
  std::filesystem::path folder_ = scratch_.path() / "server";
  std::filesystem::path down_ = scratch_.path() / "down";
  bool made_ = std::filesystem::create_directory(folder_);
  std::string file_ = folder_ / "null.json";
  Spoiled driver_{file_};
  DirectCallee<gateway::Kind> callee_{driver_};
};

TEST_F(ConformanceTest, ExampleDriverConforms) { K4T_EXPECT_CONFORMS(check_gateway(subject())); }

TEST_F(ConformanceTest, ChecksWithoutTheirHookAreSkippedWithTheReason) {
  GatewaySubject bare = subject();
  bare.hooks = {};
  bare.capabilities.clear();
  const Findings findings = check_gateway(bare);
  EXPECT_TRUE(conforms(findings));
  const auto reason = [&](const std::string& check) {
    for (const auto& finding : findings) {
      if (finding.check == check && finding.verdict == Verdict::skipped) return finding.text;
    }
    return std::string("not skipped");
  };
  EXPECT_EQ(reason("participant.drift_is_seen_and_repaired"), "needs the hook drift");
  EXPECT_EQ(reason("participant.restart_serves_what_was_committed"), "needs the hook restart");
  EXPECT_EQ(reason("gateway.connections_are_counted_for_each_endpoint_asked_for"),
            "needs capability endpoint.connections");
}

TEST_F(ConformanceTest, FindsServerDownShownAsBlank) {
  driver_.on_observe = [](Result<Observation> seen) { return seen ? seen : Result<Observation>(Observation{}); };
  EXPECT_EQ(failures(), "participant.server_down_is_unavailable_never_empty\n");
}

TEST_F(ConformanceTest, FindsPrepareThatDoesNotCompare) {
  std::map<std::string, gateway::State> seen_states;
  driver_.on_prepare = [&](const gateway::PrepareRequest& request, Call& call) -> Result<Nothing> {
    auto outcome = driver_.good.prepare(request, call);
    return outcome.status() == Status::conflict ? Result<Nothing>(Nothing{}) : outcome;
  };
  EXPECT_EQ(failures(),
            "participant.register_seen_on_blank_server_is_conflict\n"
            "participant.prepare_with_wrong_register_is_conflict\n"
            "participant.prepare_with_blank_seen_is_conflict\n");
}

TEST_F(ConformanceTest, FindsCommitThatDoesNotCompare) {
  driver_.on_commit = [&](CommitRequest request, Call& call) -> Result<CommitReply> {
    if (const auto seen = driver_.good.observe({}, call)) request.seen = seen->stored;
    return driver_.good.commit(request, call);
  };
  EXPECT_EQ(failures(), "participant.commit_with_wrong_register_is_conflict\nparticipant.of_two_changes_one_wins\n");
}

TEST_F(ConformanceTest, FindsCommitThatIsNotIdempotent) {
  std::string last;
  driver_.on_commit = [&](const CommitRequest& request, Call& call) -> Result<CommitReply> {
    if (std::exchange(last, request.target.txn) == request.target.txn) return Error{Status::conflict, "again?", {}};
    return driver_.good.commit(request, call);
  };
  const std::string found = failures();
  EXPECT_NE(found.find("participant.each_verb_twice\n"), std::string::npos) << found;
}

TEST_F(ConformanceTest, FindsCommitThatOnlyPretends) {
  driver_.on_commit = [](const CommitRequest&, Call&) -> Result<CommitReply> { return CommitReply{"trust me"}; };
  const std::string found = failures();
  EXPECT_NE(found.find("participant.each_verb_twice\n"), std::string::npos) << found;
  EXPECT_NE(found.find("participant.commit_that_was_not_staged_is_not_found\n"), std::string::npos) << found;
}

TEST_F(ConformanceTest, FindsDriverThatTakesAnyTxn) {
  driver_.on_prepare = [&](gateway::PrepareRequest request, Call& call) {
    if (!is_txn(request.target.txn)) request.target.txn = std::string(32, '0');
    return driver_.good.prepare(request, call);
  };
  EXPECT_EQ(failures(), "participant.txn_that_is_none_is_invalid_argument\n");
}

TEST_F(ConformanceTest, FindsAbortThatFailsWhereNothingIsStaged) {
  std::set<std::string> aborted;
  driver_.on_abort = [&](const AbortRequest& request, Call& call) -> Result<Nothing> {
    if (!aborted.insert(request.txn).second) return Error{Status::not_found, "no such txn", {}};
    return driver_.good.abort(request, call);
  };
  const std::string found = failures();
  EXPECT_NE(found.find("participant.abort_of_unknown_txn_is_ok\n"), std::string::npos) << found;
}

TEST_F(ConformanceTest, FindsDriftThatIsNotSeen) {
  driver_.on_observe = [](Result<Observation> seen) {
    if (seen && seen->content == Content::drifted) seen->content = Content::clean;
    return seen;
  };
  EXPECT_EQ(failures(), "participant.drift_is_seen_and_repaired\n");
}

TEST_F(ConformanceTest, FindsCountsThatAreLeftOut) {
  driver_.on_connections = [](const gateway::ConnectionsRequest&, Call&) { return gateway::ConnectionsReply{}; };
  EXPECT_EQ(failures(), "gateway.connections_are_counted_for_each_endpoint_asked_for\n");
}

TEST_F(ConformanceTest, FindsDriverThatOutlivesItsDeadline) {
  GatewaySubject impatient = subject();
  impatient.deadline_slack = std::chrono::milliseconds(20);
  driver_.on_observe = [](Result<Observation> seen) {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    return seen;
  };
  std::string found;
  for (const Finding& finding : check_gateway(impatient)) {
    if (finding.verdict == Verdict::failed) found += finding.check + "\n";
  }
  EXPECT_EQ(found, "participant.short_deadline_is_respected\nparticipant.cancellation_is_respected\n");
}

TEST_F(ConformanceTest, HookThatThrowsFailsItsCheckOnly) {
  GatewaySubject broken = subject();
  broken.hooks.restart = [] { throw std::runtime_error("no such unit"); };
  for (const Finding& finding : check_gateway(broken)) {
    const bool concerned = finding.check == "participant.restart_serves_what_was_committed";
    EXPECT_EQ(finding.verdict == Verdict::failed, concerned) << finding;
    if (concerned) {
      EXPECT_EQ(finding.text, "exception: no such unit");
    }
  }
}

}  // namespace
}  // namespace k4t::conformance
