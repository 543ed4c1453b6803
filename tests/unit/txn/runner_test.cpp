#include "txn/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "drivers/witness_file.hpp"
#include "support/process.hpp"

namespace k4t::txn {
namespace {

/// A participant in memory that obeys the contract, with switches for what can go wrong.
class FakeParticipant : public ParticipantPort {
 public:
  Result<Observation> observe(const Entry* /*expected*/, const CallOptions& options) override {
    const std::scoped_lock lock(mutex);
    if (down) return Error{Status::unavailable, "no answer", {}};
    while (hangs) {
      if (options.sink->cancelled()) return Error{Status::deadline, "gave up", {}};
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return Observation{held, held, content, false, staged.empty() ? std::vector<std::string>{} : std::vector{staged},
                       {}};
  }
  Result<void> prepare(const Preparation& what, const CallOptions& /*options*/) override {
    const std::scoped_lock lock(mutex);
    if (down) return Error{Status::unavailable, "no answer", {}};
    if (invalid) return Error{Status::invalid_argument, "port 80 is taken", {}};
    if (held != what.seen) return Error{Status::conflict, "another register", {}};
    staged = what.target.txn;
    had_base = what.base != nullptr;
    return {};
  }
  Result<CommitReply> commit(const CommitRequest& what, const CallOptions& /*options*/) override {
    const std::scoped_lock lock(mutex);
    if (down || fails_commit) return Error{Status::unavailable, "the reload failed", {}};
    if (loses_stage) {
      loses_stage = false;
      staged.clear();
    }
    if (held != what.seen) return Error{Status::conflict, "another register", {}};
    if (staged != what.target.txn) return Error{Status::not_found, "not staged", {}};
    held = what.target;
    content = Content::clean;
    return CommitReply{"served"};
  }
  Result<void> abort(const std::string& txn, const CallOptions& /*options*/) override {
    const std::scoped_lock lock(mutex);
    if (staged == txn) staged.clear();
    return {};
  }

  std::mutex mutex;
  std::optional<Register> held;
  Content content = Content::clean;
  std::string staged;
  bool had_base = false;
  std::atomic<bool> down = false;
  std::atomic<bool> hangs = false;
  bool invalid = false;
  bool fails_commit = false;
  bool loses_stage = false;
};

/// A witness that answers a peek only once it is told to, or its caller gives up.
class LateWitness final : public WitnessPort {
 public:
  LateWitness(WitnessPort& behind, const std::atomic<bool>& may_answer) : behind_(behind), may_answer_(may_answer) {}
  Result<WitnessAnswer> claim(const ClaimRequest& request, const CallOptions& options) override {
    return behind_.claim(request, options);
  }
  Result<WitnessAnswer> vote(const model::Epoch& epoch, const model::Record& record,
                             const CallOptions& options) override {
    return behind_.vote(epoch, record, options);
  }
  Result<std::optional<model::WitnessRegister>> peek(const CallOptions& options) override {
    while (!may_answer_) {
      if (options.sink->cancelled()) return Error{Status::deadline, "gave up", {}};
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return behind_.peek(options);
  }
  Result<model::Record> fetch(const std::string& txn, const CallOptions& options) override {
    return behind_.fetch(txn, options);
  }
  Result<void> close(const model::Epoch& epoch, const CallOptions& options) override {
    return behind_.close(epoch, options);
  }

 private:
  WitnessPort& behind_;
  const std::atomic<bool>& may_answer_;
};

/// Notes in which order inspect() learns things.
class Sight final : public Listener {
 public:
  void on_decided(const Assessment& assessment) override {
    heard.push_back(assessment.latest == nullptr ? "decided nothing"
                                                 : "decided " + std::to_string(assessment.latest->record.version));
    expected = assessment.members.size();
  }
  void on_peeked(const Peeked& witness) override {
    heard.push_back(witness.at.id);
    if (when_peeked) when_peeked();
  }
  void on_observed(const Member& member) override {
    heard.push_back(to_string(member.who) + " " + std::string(to_string(member.standing)));
    if (--expected == 0 && when_observed) when_observed();
  }
  std::vector<std::string> heard;
  std::size_t expected = 0;
  std::function<void()> when_peeked;
  std::function<void()> when_observed;
};

class RunnerTest : public ::testing::Test, public Ports {
 protected:
  RunnerTest() {
    for (const char* id : {"w1", "w2", "w3"}) witnesses_.push_back(place(id));
  }

  [[nodiscard]] model::Witness place(const std::string& id) const {
    return {id, "local", (scratch_.path() / id).string()};
  }

  Result<WitnessPort*> witness(const model::Witness& at) override {
    if (gone_.contains(at.id)) return Error{Status::unavailable, "no route to " + at.id, {}};
    auto& port = files_[at.id];
    if (!port) port = std::make_unique<drivers::FileWitness>(transport::local_host(), "demo", at);
    return port.get();
  }
  Result<ParticipantPort*> participant(const Participant& who) override { return &fakes_[who]; }
  Result<void> note(const Note& note) override {
    for (const auto& id : note.initialised) initialised_.insert(id);
    if (note.entry && note.decided) decided_.push_back(note.entry->record);
    return note_fails_ ? Result<void>(Error{Status::unavailable, "the disk is full", {}}) : Result<void>();
  }

  Settings settings(const std::string& run) {
    Settings all;
    all.cluster = "demo";
    all.run = run;
    all.holder = "alpha root";
    all.witnesses = witnesses_;
    for (const auto& one : witnesses_) {
      if (!initialised_.contains(one.id)) all.fresh_witnesses.insert(one.id);
    }
    all.gateways = {"gw1", "gw2"};
    all.dns = {"dns1"};
    all.gateway_availability = availability_;
    return all;
  }

  std::unique_ptr<Runner> runner(const std::string& run) {
    RunnerOptions options;
    options.deadlines.observe = std::chrono::milliseconds(300);
    return std::make_unique<Runner>(*this, settings(run), options);
  }

  std::unique_ptr<Runner> begun(const std::string& run) {
    auto one = runner(run);
    const auto ready = one->begin();
    EXPECT_TRUE(ready) << ready.error().message << "\n" << ready.error().detail;
    return one;
  }

  [[nodiscard]] model::State state(const std::string& suffix) const {
    model::State one;
    one.dns.suffix = suffix;
    one.gateway_members = {"gw1", "gw2"};
    one.dns_members = {"dns1"};
    one.witnesses = witnesses_;
    return one;
  }

  FakeParticipant& gateway(const std::string& name) { return fakes_[{Group::gateway, name}]; }
  FakeParticipant& dns() { return fakes_[{Group::dns, "dns1"}]; }

  static Standing standing(const Runner& run, const std::string& name) {
    for (const auto& member : run.coordinator().members()) {
      if (member.who.name == name) return member.standing;
    }
    return Standing::unknown;
  }

  testing::Scratch scratch_;
  std::vector<model::Witness> witnesses_;
  std::set<std::string> gone_;
  std::set<std::string> initialised_;
  std::vector<model::Record> decided_;
  bool note_fails_ = false;
  model::Availability availability_ = model::Availability::one;
  std::map<std::string, std::unique_ptr<WitnessPort>> files_;
  std::map<Participant, FakeParticipant> fakes_;
};

TEST_F(RunnerTest, WhatARunThatDiedLeftStagedIsDeletedByTheNext) {
  begun("1")->close();
  const std::string of_a_dead_run(32, 'a');
  gateway("gw1").staged = of_a_dead_run;
  dns().staged = of_a_dead_run;
  dns().down = true;
  const auto next = begun("2");
  EXPECT_EQ(gateway("gw1").staged, "");
  EXPECT_EQ(dns().staged, of_a_dead_run) << "nobody asks one that does not answer";
}

TEST_F(RunnerTest, AChangeIsDecidedAndServedByAll) {
  auto run = begun("a");
  EXPECT_EQ(run->coordinator().latest(), nullptr);
  const auto first = run->propose(state("one"));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->verdict, Verdict::decided);
  const auto second = run->propose(state("two"));
  EXPECT_EQ(second->verdict, Verdict::decided);
  EXPECT_EQ(second->version, 2U);
  EXPECT_TRUE(dns().had_base) << "a clean member at the base gets changes only";
  run->close();
  for (const char* name : {"gw1", "gw2", "dns1"}) EXPECT_EQ(standing(*run, name), Standing::current) << name;
  EXPECT_EQ(run->coordinator().outcome().holders.size(), 3U);
  EXPECT_EQ(decided_.back().version, 2U);

  const auto seen = runner("b")->inspect();
  EXPECT_TRUE(seen.majority);
  EXPECT_FALSE(seen.unfinished);
  EXPECT_FALSE(seen.open_claim);
  ASSERT_TRUE(seen.latest);
  EXPECT_EQ(seen.latest->record.txn, second->txn);
}

TEST_F(RunnerTest, ASilentWitnessDelaysNothingThatTheOthersSettle) {
  {
    auto run = begun("a");
    ASSERT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
    run->close();
  }
  for (const bool known : {false, true}) {
    std::atomic<bool> may_answer = false;
    const auto file = std::exchange(files_["w1"], nullptr);
    files_["w1"] = std::make_unique<LateWitness>(*file, may_answer);
    Sight sight;
    sight.when_observed = [&] { may_answer = true; };
    RunnerOptions options;
    options.listener = &sight;
    auto with = settings("b");
    if (known) with.known_records = decided_;
    const auto seen = Runner(*this, with, options).inspect();
    EXPECT_TRUE(may_answer);
    EXPECT_THAT(sight.heard, ::testing::UnorderedElementsAre("w2", "w3", "decided 1", "gateway gw1 current",
                                                             "gateway gw2 current", "dns dns1 current", "w1"));
    EXPECT_EQ(sight.heard.back(), "w1");
    EXPECT_TRUE(seen.silent_witnesses.empty()) << "it is waited for in the end";
    EXPECT_EQ(seen.members.size(), 3U);
    files_["w1"] = std::make_unique<drivers::FileWitness>(transport::local_host(), "demo", place("w1"));
  }
}

TEST_F(RunnerTest, ASilentWitnessDelaysNothingBeforeTheFirstVersion) {
  std::atomic<bool> may_answer = false;
  drivers::FileWitness file(transport::local_host(), "demo", place("w1"));
  files_["w1"] = std::make_unique<LateWitness>(file, may_answer);
  Sight sight;
  sight.when_observed = [&] { may_answer = true; };
  RunnerOptions options;
  options.listener = &sight;
  Runner(*this, settings("b"), options).inspect();
  EXPECT_TRUE(may_answer);
  ASSERT_EQ(sight.heard.size(), 7U);
  EXPECT_EQ(sight.heard.at(2), "decided nothing");
  EXPECT_EQ(sight.heard.back(), "w1");
}

TEST_F(RunnerTest, WhereTheOthersDoNotSettleItASilentWitnessIsWaitedFor) {
  auto run = begun("a");
  const auto record = model::make_record("", 1, state("left behind"));
  ASSERT_TRUE(files_["w2"]->vote(run->coordinator().epoch(), record, {})->granted);
  std::atomic<bool> may_answer = false;
  const auto file = std::exchange(files_["w1"], nullptr);
  files_["w1"] = std::make_unique<LateWitness>(*file, may_answer);
  Sight sight;
  sight.when_peeked = [&] { may_answer = sight.heard.size() == 2; };
  RunnerOptions options;
  options.listener = &sight;
  const auto seen = Runner(*this, settings("b"), options).inspect();
  EXPECT_TRUE(seen.unfinished);
  ASSERT_GT(sight.heard.size(), 3U);
  EXPECT_EQ(sight.heard.at(2), "w1");
  EXPECT_EQ(sight.heard.at(3), "decided nothing");
  run->close();
  files_["w1"] = std::make_unique<drivers::FileWitness>(transport::local_host(), "demo", place("w1"));
}

TEST_F(RunnerTest, AnInvalidStateIsDroppedAndNothingHasChanged) {
  auto run = begun("a");
  gateway("gw2").invalid = true;
  const auto outcome = run->propose(state("one"));
  EXPECT_EQ(outcome->verdict, Verdict::dropped);
  EXPECT_NE(outcome->why->message.find("port 80"), std::string::npos);
  EXPECT_FALSE(dns().held);
  EXPECT_TRUE(dns().staged.empty());
  EXPECT_FALSE((*files_["w1"]->peek({}))->vote);
  gateway("gw2").invalid = false;
  EXPECT_EQ(run->propose(state("one"))->verdict, Verdict::decided) << "the run goes on";
}

TEST_F(RunnerTest, AnAbsentMemberLagsAndCatchesUpWithFullState) {
  gateway("gw1").down = true;
  auto run = begun("a");
  EXPECT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
  EXPECT_EQ(standing(*run, "gw1"), Standing::unknown);
  gateway("gw1").down = false;
  ASSERT_TRUE(run->catch_up({}));
  EXPECT_EQ(standing(*run, "gw1"), Standing::current);
  EXPECT_FALSE(gateway("gw1").had_base);
}

TEST_F(RunnerTest, AWholeGroupThatIsAbsentDropsTheChange) {
  dns().down = true;
  auto run = begun("a");
  EXPECT_EQ(run->propose(state("one"))->verdict, Verdict::dropped);
}

TEST_F(RunnerTest, WithAvailabilityAllEveryMemberIsNeeded) {
  availability_ = model::Availability::all;
  gateway("gw1").down = true;
  auto run = begun("a");
  EXPECT_EQ(run->propose(state("one"))->verdict, Verdict::dropped);
}

TEST_F(RunnerTest, AFailedCommitLagsAndSaysWhy) {
  gateway("gw1").fails_commit = true;
  auto run = begun("a");
  EXPECT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
  const auto members = run->coordinator().members();
  EXPECT_EQ(standing(*run, "gw1"), Standing::blank);
  EXPECT_EQ(members.front().why->message, "the reload failed");
}

TEST_F(RunnerTest, ALostStageIsPreparedAgain) {
  gateway("gw1").loses_stage = true;
  auto run = begun("a");
  EXPECT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
  EXPECT_EQ(standing(*run, "gw1"), Standing::current);
}

TEST_F(RunnerTest, DriftIsReportedAndRepairedOnRequestOnly) {
  auto run = begun("a");
  ASSERT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
  gateway("gw1").content = Content::drifted;
  ASSERT_TRUE(run->observe());
  ASSERT_TRUE(run->catch_up({}));
  EXPECT_EQ(standing(*run, "gw1"), Standing::drifted);
  ASSERT_TRUE(run->catch_up({true, {}}));
  EXPECT_EQ(standing(*run, "gw1"), Standing::current);
}

TEST_F(RunnerTest, AnotherClustersParticipantIsLeftAloneUntilItIsToBeOverwritten) {
  gateway("gw1").held = Register{"theirs", 9, std::string(32, 'f'), "x.1"};
  auto run = begun("a");
  EXPECT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
  EXPECT_EQ(gateway("gw1").held->cluster, "theirs");
  ASSERT_TRUE(run->catch_up({false, {{Group::gateway, "gw1"}}}));
  EXPECT_EQ(standing(*run, "gw1"), Standing::current);
}

TEST_F(RunnerTest, ARunThatWasOvertakenStopsAndNamesTheWinner) {
  auto old = begun("a");
  Settings later = settings("b");
  later.highest_counter = 1;
  later.holder = "alpha winner";
  Runner winner(*this, later, {});
  ASSERT_TRUE(winner.begin());
  const auto outcome = old->propose(state("one"));
  EXPECT_EQ(outcome->verdict, Verdict::lost);
  EXPECT_NE(outcome->why->message.find("winner"), std::string::npos);
  EXPECT_FALSE(old->propose(state("again")));
  EXPECT_EQ(winner.propose(state("two"))->verdict, Verdict::decided);
  EXPECT_EQ(dns().held->writer.substr(0, 2), "b.");
}

TEST_F(RunnerTest, AVoteThatIsFoundIsFinishedBeforeAnythingElse) {
  auto run = begun("a");
  const auto record = model::make_record("", 1, state("left behind"));
  ASSERT_TRUE(files_["w2"]->vote(run->coordinator().epoch(), record, {})->granted);
  const auto seen = runner("b")->inspect();
  EXPECT_TRUE(seen.unfinished);
  EXPECT_EQ(seen.latest, nullptr);
  Settings next = settings("b");
  next.take_over = true;
  Runner second(*this, next, {});
  ASSERT_TRUE(second.begin());
  ASSERT_TRUE(second.coordinator().latest());
  EXPECT_EQ(second.coordinator().latest()->record, record);
  ASSERT_TRUE(second.catch_up({}));
  EXPECT_EQ(dns().held->txn, record.txn);
}

TEST_F(RunnerTest, WithoutAMajorityOfWitnessesNothingBegins) {
  begun("a")->close();
  gone_ = {"w1", "w2"};
  const auto refused = runner("b")->begin();
  EXPECT_EQ(refused.status(), Status::unavailable);
  EXPECT_NE(refused.error().message.find("w1, w2"), std::string::npos) << refused.error().message;
}

TEST_F(RunnerTest, AMinorityOfWitnessesIsNotMissed) {
  auto first = begun("a");
  ASSERT_EQ(first->propose(state("one"))->verdict, Verdict::decided);
  first->close();
  gone_ = {"w2"};
  auto run = begun("b");
  EXPECT_EQ(run->propose(state("two"))->verdict, Verdict::decided);
}

TEST_F(RunnerTest, UntilTheFirstVersionIsDecidedEveryWitnessIsNeeded) {
  gone_ = {"w3"};
  EXPECT_EQ(runner("a")->begin().status(), Status::unavailable);
  gone_.clear();
  begun("b")->close();
  EXPECT_EQ(initialised_.size(), 3U);
  gone_ = {"w3"};
  const auto refused = runner("c")->begin();
  EXPECT_EQ(refused.status(), Status::unavailable);
  EXPECT_NE(refused.error().message.find("witness w3 "), std::string::npos) << refused.error().message;
}

TEST_F(RunnerTest, ALostRegisterIsNeverMadeAgain) {
  auto run = begun("a");
  ASSERT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
  run->close();
  std::filesystem::remove(scratch_.path() / "w1" / "k4t-witness-w1.json");
  initialised_.clear();  // the master lost its metadata as well
  auto next = begun("b");
  EXPECT_EQ(next->coordinator().blank_witnesses(), std::vector<std::string>{"w1"});
  EXPECT_EQ(next->propose(state("two"))->verdict, Verdict::decided);
  EXPECT_FALSE(std::filesystem::exists(scratch_.path() / "w1" / "k4t-witness-w1.json"));
}

TEST_F(RunnerTest, ARunThatCannotNoteItsNewRegistersDoesNotBegin) {
  note_fails_ = true;
  EXPECT_FALSE(runner("a")->begin());
}

TEST_F(RunnerTest, WitnessesThatLostTheirMemoryStopTheRun) {
  gateway("gw1").held = Register{"demo", 4, std::string(32, 'f'), "x.1"};
  const auto refused = runner("a")->begin();
  EXPECT_EQ(refused.status(), Status::conflict);
  EXPECT_NE(refused.error().message.find("gw1"), std::string::npos);
}

TEST_F(RunnerTest, AParticipantThatHangsCountsAsAbsent) {
  gateway("gw1").hangs = true;
  auto run = begun("a");
  EXPECT_EQ(standing(*run, "gw1"), Standing::unknown);
  EXPECT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
}

TEST_F(RunnerTest, TheWitnessesCanBeReplacedAndTheOldOnesShowTheWay) {
  auto run = begun("a");
  ASSERT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
  model::State moved = state("two");
  moved.witnesses = {place("x1"), place("x2"), place("x3")};
  ASSERT_EQ(run->propose(moved)->verdict, Verdict::decided);
  ASSERT_EQ(run->propose(moved)->verdict, Verdict::decided);
  run->close();
  EXPECT_EQ((*files_["w1"]->peek({}))->vote->version, 2U) << "the old set decides nothing after its last version";

  auto next = begun("b");  // still knows the old witnesses only
  EXPECT_EQ(next->coordinator().latest()->record.version, 3U);
  EXPECT_EQ(next->propose(moved)->verdict, Verdict::decided);
}

TEST_F(RunnerTest, ANewWitnessThatDoesNotAnswerDropsTheChange) {
  auto run = begun("a");
  model::State moved = state("one");
  moved.witnesses.push_back(place("x1"));
  gone_ = {"x1"};
  EXPECT_EQ(run->propose(moved)->verdict, Verdict::dropped);
  EXPECT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
}

TEST_F(RunnerTest, AForcedVersionIsDecidedByFreshWitnessesAndTheOldHistoryIsFencedOff) {
  auto run = begun("a");
  ASSERT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
  run->close();
  gone_ = {"w2", "w3"};
  model::State next = state("one");
  next.witnesses = {place("x1"), place("x2")};
  next.forced = model::Forced{5, "alpha root", "two are gone", "salt", {}, {}, {}, false};
  const auto record = model::make_record(run->coordinator().latest()->record.txn, 5, next);
  Settings with = settings("b");
  with.witnesses = next.witnesses;
  with.fresh_witnesses = {"x1", "x2"};
  with.forced = std::make_shared<const Entry>(Entry{record, next});
  Runner forced(*this, with, {});
  const auto ready = forced.begin();
  ASSERT_TRUE(ready) << ready.error().message;
  ASSERT_TRUE(forced.catch_up({}));
  EXPECT_EQ(dns().held->version, 5U);
  EXPECT_EQ(forced.propose(next)->version, 6U);
  forced.close();

  gone_ = {"w1"};
  const auto old = runner("c")->begin();
  EXPECT_EQ(old.status(), Status::conflict) << "the old majority is back, and the participants stop it";
}

TEST_F(RunnerTest, AForcedVersionNeedsWitnessesThatNeverVoted) {
  auto run = begun("a");
  ASSERT_EQ(run->propose(state("one"))->verdict, Verdict::decided);
  run->close();
  Settings with = settings("b");
  with.forced = std::make_shared<const Entry>(Entry{model::make_record("", 5, state("two")), state("two")});
  Runner forced(*this, with, {});
  EXPECT_EQ(forced.begin().status(), Status::conflict);
}

}  // namespace
}  // namespace k4t::txn
