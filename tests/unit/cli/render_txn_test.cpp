#include "cli/render_txn.hpp"

#include <gtest/gtest.h>

namespace k4t::cli {
namespace {

using operation::Decision;
using operation::Difference;
using operation::Log;
using operation::LogLine;
using operation::MemberDifference;
using operation::Shown;
using txn::Group;
using txn::Standing;

const std::string txn_text = "0123456789abcdef0123456789abcdef";

txn::EntryPtr entry_of(model::State state, std::uint64_t version) {
  return std::make_shared<const txn::Entry>(txn::Entry{model::make_record("", version, state), std::move(state)});
}

LogLine decided_line() {
  LogLine line;
  line.version = 2;
  line.txn = txn_text;
  line.base = std::string(32, 'b');
  line.decided = true;
  line.decision = Decision{2, txn_text, 86400, "alpha root 1970-01-02T00:00:00Z apply", 7};
  line.voters = {"w1", "w2"};
  line.served_by = {"gateway gw1"};
  line.lagging = {"gateway gw2"};
  line.unknown = {"dns ns1"};
  return line;
}

TEST(LogText, TellsVersionsNewestFirstWithWhoLags) {
  Log log;
  log.assessment.majority = true;
  LogLine undecided;
  undecided.version = 3;
  undecided.txn = std::string(32, 'f');
  undecided.voters = {"w1"};
  log.lines = {undecided, decided_line()};
  log.assessment.unfinished = true;
  EXPECT_EQ(render_log(log, false),
            "VERSION  TXN           DECIDED                  BY                                                        "
            "LAGS\n"
            "3        ffffffffffff  not known                -                                                         "
            "-\n"
            "2        0123456789ab  1970-01-02 00:00:00 UTC  root on alpha (1970-01-02T00:00:00Z, apply), operation 7"
            "  gateway gw2, dns ns1 (no answer)\n"
            "warning: a vote was cast whose outcome is not known; `k4t txn recover` finishes it\n");
  EXPECT_EQ(render_log({}, false), "No version yet.\n");
  EXPECT_EQ(log_json(log).at("versions").at(1).at("operation"), 7);
  EXPECT_FALSE(log_json(log).at("versions").at(0).contains("decided_at_s")) << "unknown is not empty";
}

TEST(ShownText, TellsWhatAVersionChangedAndWhoHoldsIt) {
  Shown shown;
  shown.line = decided_line();
  model::State state;
  state.gateway_members = {"gw1"};
  state.witnesses = {{"w1", "local", "/w1"}};
  shown.entry = entry_of(state, 2);
  shown.difference = {"- endpoint web-http-80 192.0.2.1:20000", "+ endpoint web-http-80 192.0.2.1:20001"};
  shown.holders = {"w1"};
  shown.silent = {"w2"};
  shown.kept_here = true;
  EXPECT_EQ(render_shown(shown, false),
            "Version 2\n"
            "txn         0123456789abcdef0123456789abcdef\n"
            "base        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"
            "decided     1970-01-02 00:00:00 UTC, by root on alpha (1970-01-02T00:00:00Z, apply), operation 7\n"
            "members     gateway gw1\n"
            "witnesses   w1\n"
            "record      held by this master, witness w1, witness w2? (no answer)\n"
            "votes       w1, w2\n"
            "served by   gateway gw1\n"
            "Changes to its base\n"
            "  - endpoint web-http-80 192.0.2.1:20000\n"
            "  + endpoint web-http-80 192.0.2.1:20001\n");
  shown.base_unknown = Error{k4t::Status::unavailable, "witness w2: no route", {}};
  EXPECT_TRUE(render_shown(shown, false).ends_with("Changes to its base\n  not known: witness w2: no route\n"));
  EXPECT_FALSE(shown_json(shown).contains("difference"));
}

MemberDifference member(const std::string& name, Standing standing) {
  MemberDifference one;
  one.member.who = {Group::gateway, name};
  one.member.listed = true;
  one.member.standing = standing;
  return one;
}

TEST(DifferenceText, KeepsHandEditsLagsAndSilenceApart) {
  Difference difference;
  difference.sure = true;
  difference.latest = entry_of({}, 5);
  difference.members = {member("gw1", Standing::current), member("gw2", Standing::drifted),
                        member("gw3", Standing::unknown), member("gw4", Standing::blank)};
  difference.members[0].lines.emplace();
  difference.members[1].lines.emplace();
  difference.members[1].hand_edits = "k4t.cfg line 7\x1b[2J";
  difference.members[2].unknown = "no answer";
  difference.members[3].lines = {"+ http :80 web.demo.example.net/ → web-http-80"};
  difference.wanted = {"+ endpoint web-http-80 192.0.2.1:20002"};
  EXPECT_EQ(render_difference(difference, false),
            "gateway gw1: as decided\n"
            "gateway gw2: changed by hand: k4t.cfg line 7?[2J\n"
            "gateway gw3: not known: no answer\n"
            "gateway gw4: holds nothing of k4t yet; to the latest version:\n"
            "  + http :80 web.demo.example.net/ → web-http-80\n"
            "Wanted by the files beyond version 5\n"
            "  + endpoint web-http-80 192.0.2.1:20002\n"
            "There are differences.\n");
  const Json json = difference_json(difference);
  EXPECT_EQ(json.at("members").at(0).at("to_latest"), Json::array());
  EXPECT_FALSE(json.at("members").at(2).contains("to_latest")) << "unknown is not empty";
  difference.members.resize(1);
  difference.wanted.reset();
  EXPECT_TRUE(render_difference(difference, false).ends_with("No difference.\n"));
  difference.sure = false;
  EXPECT_TRUE(
      render_difference(difference, false).ends_with("Whether there is a difference is not known everywhere.\n"));
}

TEST(WitnessRows, TellTheDecidedSetFromTheWish) {
  model::State state;
  state.witnesses = {{"w1", "local", "/w1"}, {"w3-x0a1b2c", "ssh://h3", "/w3"}};
  txn::Assessment assessment;
  assessment.latest = entry_of(state, 4);
  model::WitnessRegister shown{"demo", "w1", {7, "r"}, "alpha root", true, model::Vote{{7, "r"}, 4, "t"}};
  assessment.witnesses = {
      {state.witnesses[0], std::optional(shown)},
      {state.witnesses[1], Error{k4t::Status::unavailable, "no route", {}}},
      {{"w3", "ssh://h3", "/w3"}, std::optional<model::WitnessRegister>()},
  };
  model::Cluster cluster;
  cluster.witnesses = {{"w1", "local", "/w1"}, {"w3", "ssh://h3", "/w3"}, {"w4", "ssh://h4", "/w4"}};
  const auto rows = witness_rows(cluster, assessment);
  EXPECT_EQ(render_witnesses(rows, false),
            "WITNESS     HOST      FOLDER  ROLE     STATE             PROMISED                  VOTE\n"
            "w1          local     /w1     decides  answers           7 to root on alpha, open  version 4\n"
            "w3-x0a1b2c  ssh://h3  /w3     decides  silent: no route  -                         -\n"
            "w3          ssh://h3  /w3     retired  blank             -                         -\n"
            "w4          ssh://h4  /w4     wished   not asked         -                         -\n");
  const Json json = witnesses_json(rows);
  EXPECT_EQ(json.at(1).at("configured_as"), "w3");
  EXPECT_FALSE(json.at(2).contains("configured_as")) << "the table stands for the one that decides";
  EXPECT_EQ(json.at(0).at("vote").at("version"), 4);
}

TEST(ForcingText, SaysWhatWillBeGivenUpBeforeItIs) {
  operation::Forcing forcing;
  model::State state;
  state.witnesses = {{"x1", "ssh://h1", "/x1"}};
  state.forced =
      model::Forced{6, "alpha root", "gone", "s", {"version 5 (txn ffff), voted for by w2"}, {"gw2"}, {}, false};
  forcing.entry = entry_of(state, 6);
  forcing.chosen = entry_of({}, 4);
  EXPECT_EQ(render_forcing(forcing, false),
            "A new history is to begin with version 6, with the state of version 4.\n"
            "Its witnesses: x1 on ssh://h1 /x1.\n"
            "Given up for ever:\n"
            "  version 5 (txn ffff), voted for by w2\n"
            "Do not answer, and come back only by `k4t sync --overwrite NAME`: gateway gw2.\n");
}

}  // namespace
}  // namespace k4t::cli
