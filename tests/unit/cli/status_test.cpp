#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "cli/render_status.hpp"
#include "cli/status_printer.hpp"
#include "unit/operation/lab.hpp"

/// Status while it becomes known.

namespace k4t::cli {
namespace {

using namespace std::chrono_literals;
using txn::Group;
using txn::Standing;

class StatusByPieces : public ::testing::Test {
 protected:
  StatusByPieces() {
    cluster_.name = "demo";
    cluster_.domain = "demo.example.net";
    cluster_.gateways = {{"gw1", "nginx", "192.0.2.10", {}}, {"gw2", "nginx", "192.0.2.11", {}}};
    for (const char* name : {"n1", "n2", "n3"}) {
      model::Node node;
      node.name = name;
      node.driver = "docker";
      cluster_.nodes.push_back(node);
      plan::NodeView view;
      view.name = name;
      view.info.cpus = 4;
      view.info.memory_bytes = 8ULL << 30;
      status_.nodes.push_back(view);
    }
    status_.nodes[1].mark = model::NodeMark{"n2", model::Mark::cordoned, "noisy disk", "alpha root", 1};
    model::State state;
    state.gateway_members = {"gw1", "gw2"};
    state.witnesses = {{"w1", "local", "/w1"}};
    const auto record = model::make_record({}, 1, state);
    auto& assessment = status_.assessment;
    assessment.majority = true;
    assessment.latest = std::make_shared<const txn::Entry>(txn::Entry{record, state});
    assessment.witnesses = {{{"w1", "local", "/w1"}, std::optional<model::WitnessRegister>()}};
    for (const char* name : {"gw1", "gw2"}) {
      const Register held{"demo", 1, record.txn, "a.1"};
      assessment.members.push_back({{Group::gateway, name},
                                    true,
                                    Standing::current,
                                    Observation{held, held, Content::clean, false, {}, {}},
                                    {}});
    }
    status_.now_s = 1000;
    text_.begin(known());
  }

  /// What is known before anybody has answered.
  [[nodiscard]] operation::Status known() const {
    operation::Status known = status_;
    known.assessment = {};
    for (auto& view : known.nodes) view = plan::NodeView{view.name, {}, {}, {}, view.mark};
    return known;
  }
  [[nodiscard]] txn::Assessment decided() const {
    auto assessment = status_.assessment;
    for (auto& member : assessment.members) member = {member.who, true, Standing::unknown, {}, {}};
    return assessment;
  }
  void learn_witness() { text_.witness(status_.assessment.witnesses.front()); }
  void learn_gateway(std::size_t at) { text_.member(status_.assessment.members.at(at)); }
  void learn_node(std::size_t at) { text_.node(plan::NodeView{status_.nodes.at(at).name, {}, {}, {}, {}}); }

  model::Cluster cluster_;
  operation::Status status_;
  StatusPage text_{cluster_, false};
};

TEST_F(StatusByPieces, EachLineComesAsSoonAsThoseBeforeItDid) {
  learn_node(0);
  EXPECT_EQ(text_.take(), "");
  EXPECT_TRUE(text_.holds_back());
  text_.decided(decided());
  EXPECT_TRUE(text_.take().starts_with("Cluster demo  version 1  txn "));
  learn_gateway(1);
  EXPECT_EQ(text_.take(), "");
  learn_gateway(0);
  EXPECT_EQ(text_.take(),
            "\nMEMBER       DRIVER  ADDRESS     STATE    VERSION  LAST CONTACT  DETAIL\n"
            "gateway gw1  nginx   192.0.2.10  current  1        now           serves version 1\n"
            "gateway gw2  nginx   192.0.2.11  current  1        now           serves version 1\n");
  learn_witness();
  EXPECT_EQ(text_.take(),
            "\nWITNESS  HOST   FOLDER  ROLE     STATE  PROMISED  VOTE\n"
            "w1       local  /w1     decides  blank  -         -\n"
            "\nNODE  DRIVER  STATE                                   INSTANCES  CPU  MEMORY\n"
            "n1    docker  ready                                   0          0    0 MiB\n");
  EXPECT_FALSE(text_.holds_back());
  learn_node(2);
  EXPECT_TRUE(text_.holds_back());
}

TEST_F(StatusByPieces, InWhateverOrderItComesTheWholeIsTheSame) {
  std::string shown;
  text_.node(status_.nodes[2]);
  shown += text_.take();
  text_.decided(decided());
  shown += text_.take();
  learn_gateway(1);
  learn_witness();
  text_.node(status_.nodes[0]);
  shown += text_.take();
  learn_gateway(0);
  shown += text_.take();
  EXPECT_EQ(shown + text_.finish(status_), render_status(cluster_, status_, false));
}

TEST_F(StatusByPieces, WhatIsLetGoComesAtOnceAndTheLateOnesAfterIt) {
  text_.decided(decided());
  learn_witness();
  learn_gateway(1);
  learn_node(0);
  learn_node(2);
  text_.take();
  ASSERT_TRUE(text_.holds_back());
  const std::string shown = text_.let_go();
  EXPECT_FALSE(text_.holds_back());
  EXPECT_NE(shown.find("\ngateway gw2  "), std::string::npos) << shown;
  EXPECT_NE(shown.find("\nw1  "), std::string::npos) << shown;
  EXPECT_NE(shown.find("\nn1  "), std::string::npos) << shown;
  EXPECT_NE(shown.find("\nn3  "), std::string::npos) << shown;
  EXPECT_TRUE(shown.ends_with("\nStill waiting for gateway gw1, node n2\n")) << shown;
  plan::NodeView silent;
  silent.name = "n2";
  silent.problem = Error{k4t::Status::unavailable, "no answer", {}};
  text_.node(silent);
  const std::string late = text_.take();
  EXPECT_TRUE(late.starts_with("\nNODE  DRIVER  STATE ")) << late;
  EXPECT_NE(late.find("\nn2    docker  unreachable: no answer"), std::string::npos) << late;
  const std::string rest = text_.finish(status_);
  EXPECT_TRUE(rest.starts_with("\nMEMBER  ")) << rest;
  EXPECT_EQ(rest.find("\nn2 "), std::string::npos) << rest;
  EXPECT_TRUE(rest.ends_with("\nNo services. Declare one in a file and `k4t apply -f FILE`.\n")) << rest;
}

TEST_F(StatusByPieces, NodesAreShownWhileTheWitnessesAreSilent) {
  learn_node(0);
  EXPECT_EQ(text_.take(), "");
  const std::string shown = text_.let_go();
  EXPECT_TRUE(shown.starts_with("Cluster demo\n\nNODE  ")) << shown;
  EXPECT_TRUE(
      shown.ends_with("Still waiting for the witnesses, and gateways and DNS servers after them, node n2, node n3\n"))
      << shown;
  text_.decided(decided());
  EXPECT_TRUE(text_.take().starts_with("\nCluster demo  version 1  txn "));
}

TEST_F(StatusByPieces, SaysSoWhenAnotherVersionIsDecidedMeanwhile) {
  text_.decided(decided());
  const auto& before = *status_.assessment.latest;
  const auto record = model::make_record(before.record.txn, 2, before.state);
  status_.assessment.latest = std::make_shared<const txn::Entry>(txn::Entry{record, before.state});
  const std::string shown = text_.finish(status_);
  EXPECT_NE(shown.find("\nwarning: version 2 was decided meanwhile; look again\n"), std::string::npos) << shown;
}

/// What was printed so far, and who waits for some of it.
class Screen {
 public:
  void print(const std::string& text) {
    const std::scoped_lock lock(mutex_);
    text_ += text;
    changed_.notify_all();
  }
  /// False: it is not there in a time that is long enough.
  bool await(const std::vector<std::string>& words) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 60s, [&] {
      return std::all_of(words.begin(), words.end(),
                         [&](const auto& word) { return text_.find(word) != std::string::npos; });
    });
  }
  [[nodiscard]] std::string text() {
    const std::scoped_lock lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
};

class SilentMachine : public ::testing::TestWithParam<const char*> {
 protected:
  SilentMachine() : lab_(scratch_.path()) { EXPECT_TRUE(lab_.apply({{operation::Lab::web(2)}, {}})); }
  fakes::Faults& faults_of(const std::string& name) {
    if (name.starts_with("n1") || name.starts_with("n2")) return lab_.world.node(name).faults;
    if (name.starts_with("gw")) return lab_.world.gateway(name).member.faults;
    return lab_.world.dns(name).member.faults;
  }

  testing::Scratch scratch_;
  operation::Lab lab_;
};

TEST_P(SilentMachine, DelaysNoOtherLine) {
  const std::string silent = GetParam();
  std::vector<std::string> others{"\nCluster demo  version 1", "\nw1 ", "\nw2 ", "\nw3 "};
  for (const std::string line : {"gateway gw1", "gateway gw2", "dns ns1", "n1", "n2"}) {
    if (!line.ends_with(silent)) others.push_back("\n" + line + " ");
  }
  Screen screen;
  screen.print("\n");
  // The last node's line is the last one anyway: nobody need be let go for it, however slow this machine is.
  const bool is_last = silent == "n2";
  const std::chrono::milliseconds patience = is_last ? std::chrono::milliseconds(1h) : 50ms;
  StatusPrinter printer(lab_.cluster, false, false, patience, [&](const std::string& text) { screen.print(text); });
  // It answers when all the others' lines are there, and not before.
  std::atomic<bool> were_there = true;
  faults_of(silent).before = [&] { were_there = were_there && screen.await(others); };
  const auto status = lab_.master().status(&printer);
  ASSERT_TRUE(status);
  printer.finish(*status);
  EXPECT_TRUE(were_there) << screen.text();
  const auto named = screen.text().find("\nStill waiting for ");
  EXPECT_EQ(named == std::string::npos, is_last) << screen.text();
  EXPECT_NE(screen.text().find("\nSERVICE "), std::string::npos);
  faults_of(silent).before = nullptr;
}

INSTANTIATE_TEST_SUITE_P(Machines, SilentMachine, ::testing::Values("n1", "n2", "gw1", "gw2", "ns1"),
                         [](const auto& each) { return std::string(each.param); });

TEST(StatusPrinter, LeavesAnUnfinishedVoteToTheNextLook) {
  const model::Cluster cluster;
  Screen screen;
  for (const bool even_unfinished : {false, true}) {
    StatusPrinter printer(cluster, false, even_unfinished, 1h, [&](const std::string& text) { screen.print(text); });
    printer.on_begin({});
    txn::Assessment assessment;
    assessment.unfinished = true;
    printer.on_decided(assessment);
    EXPECT_EQ(screen.text().empty(), !even_unfinished) << screen.text();
  }
}

}  // namespace
}  // namespace k4t::cli
