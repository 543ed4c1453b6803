#include "cli/render.hpp"
#include "cli/render_status.hpp"

#include <gtest/gtest.h>

namespace k4t::cli {
namespace {

using operation::Ending;
using operation::Preview;
using operation::Report;

using txn::Group;
using txn::Member;
using txn::Standing;

txn::EntryPtr entry_at(std::uint64_t version) {
  const model::State state;
  return std::make_shared<const txn::Entry>(txn::Entry{model::make_record("", version, state), state});
}

/// A participant that serves `serves`, where it answers.
Member member(Group group, const std::string& name, Standing standing, const txn::EntryPtr& serves = nullptr) {
  Member one;
  one.who = {group, name};
  one.listed = true;
  one.standing = standing;
  if (serves != nullptr) {
    const Register held = txn::register_of("demo", *serves, "a.1");
    one.seen = Observation{held, held, Content::clean, false, {}, {}};
  }
  return one;
}

plan::Placed placed(const std::string& service, const std::string& id, const std::string& node) {
  plan::Placed one;
  one.node = node;
  one.name = "demo-" + service + "-" + id;
  one.service = service;
  one.instance = id;
  one.revision = "0123456789ab";
  one.address = "192.0.2.1";
  one.ports = {{"http", 20000}};
  one.phase = runtime::Phase::running;
  return one;
}

plan::Creation creation(const std::string& service, const std::string& id, const std::string& node) {
  plan::Creation one;
  one.placed = placed(service, id, node);
  return one;
}

TEST(Ages, HaveTheUnitThatSaysEnough) {
  EXPECT_EQ(human_age(-1), "?");
  EXPECT_EQ(human_age(119), "119 s");
  EXPECT_EQ(human_age(120), "2 min");
  EXPECT_EQ(human_age(7199), "119 min");
  EXPECT_EQ(human_age(7200), "2 h");
  EXPECT_EQ(human_age(172800), "2 d");
}

TEST(Plurals, FollowTheNumber) {
  EXPECT_EQ(plural(0, "node"), "0 nodes");
  EXPECT_EQ(plural(1, "node"), "1 node");
  EXPECT_EQ(plural(2, "node"), "2 nodes");
}

class PreviewText : public ::testing::Test {
 protected:
  PreviewText() {
    const auto latest = entry_at(4);
    preview_.assessment.latest = latest;
    preview_.plan.creations = {creation("web", "a1", "n1"), creation("web", "a2", "n1"), creation("web", "a3", "n2")};
    preview_.plan.removals = {{placed("web", "b1", "n1"), plan::Cause::replaced}};
    preview_.plan.kept = {placed("api", "c1", "n2")};
    preview_.plan.state_changes = true;
    preview_.differences = {"+ http :8080 web.demo.example.net/ → web-http-8080 (3 endpoints)"};
  }
  Preview preview_;
};

TEST_F(PreviewText, GroupsInstancesByServiceAndNode) {
  EXPECT_EQ(render_preview(preview_, false),
            "Instances\n"
            "  + web: start 3 instances on n1 ×2, n2\n"
            "  - web: remove 1 instance on n1 (replaced by a new revision)\n"
            "Gateways and DNS\n"
            "  + http :8080 web.demo.example.net/ → web-http-8080 (3 endpoints)\n"
            "3 instances to start, 1 to remove, 1 unchanged.\n");
}

TEST_F(PreviewText, OfADrainSaysWhatMovesAndWhatStays) {
  preview_.marks = {{"n1", model::Mark::draining, "new disks", "alpha root", 1}};
  preview_.returned = {"n3"};
  preview_.differences.clear();
  preview_.plan.creations = {creation("web", "a1", "n2")};
  preview_.plan.removals = {{placed("web", "b1", "n1"), plan::Cause::node_drained},
                            {placed("web", "b3", "n3"), plan::Cause::node_returned}};
  preview_.plan.given_up = {placed("web", "d1", "n4"), placed("web", "d2", "n4")};
  preview_.plan.left_undone = {"api: 1 instance stays on n1: n2: is cordoned"};
  EXPECT_EQ(render_preview(preview_, false),
            "Nodes\n"
            "  ~ n1: draining (new disks)\n"
            "  ~ n3: has returned\n"
            "Instances\n"
            "  + web: start 1 instance on n2\n"
            "  - web: remove 1 instance on n1 (its node is drained)\n"
            "  - web: remove 1 instance on n3 (its node was lost and has returned)\n"
            "  - web: give up 2 instances on n4 ×2 (its node is lost)\n"
            "left undone: api: 1 instance stays on n1: n2: is cordoned\n"
            "1 instance to start, 2 to remove, 1 unchanged.\n");
  const Json json = preview_json(preview_);
  EXPECT_EQ(json.at("marks").at(0).at("mark"), "draining");
  EXPECT_EQ(json.at("give_up").size(), 2U);
  EXPECT_EQ(json.at("left_undone"), Json(preview_.plan.left_undone));
}

TEST(ReportText, SaysWhatWasLeftUndone) {
  Report report;
  report.ending = Ending::done;
  report.version = 5;
  report.left_undone = {"web: 1 instance stays on n1: n2: is cordoned"};
  EXPECT_EQ(render_report(report, false),
            "Done. Version 5 is served by every gateway and DNS server.\n"
            "left undone: web: 1 instance stays on n1: n2: is cordoned\n");
  EXPECT_EQ(report_json(report).at("left_undone"), Json(report.left_undone));
  report.ending = Ending::unchanged;
  EXPECT_TRUE(render_report(report, false).starts_with("Nothing can be done now; nothing was written anywhere.\nleft"));
  report.ending = Ending::done;
  report.left_undone.clear();
  report.version = 0;
  EXPECT_EQ(render_report(report, false), "Done. Nothing is served yet.\n");
}

TEST_F(PreviewText, ColoursWhatComesAndWhatGoes) {
  const std::string text = render_preview(preview_, true);
  EXPECT_NE(text.find("\x1b[32m+ web: start"), std::string::npos) << text;
  EXPECT_NE(text.find("\x1b[31m- web: remove"), std::string::npos) << text;
}

TEST_F(PreviewText, NamesWarningsProblemsAndRounds) {
  preview_.plan.complete = false;
  preview_.plan.warnings = {"node 'n3' cannot be read\x1b[2J"};
  preview_.plan.problems = {"service 'web' fits on no node"};
  const std::string text = render_preview(preview_, false);
  EXPECT_TRUE(
      text.ends_with("  Room is short: this goes in rounds, each of which removes what the next one needs.\n"
                     "warning: node 'n3' cannot be read?[2J\n"
                     "problem: service 'web' fits on no node\n"
                     "This cannot be done as it is; nothing has changed.\n"))
      << text;
}

TEST_F(PreviewText, NamesParticipantsThatWillCatchUp) {
  Preview preview;
  preview.assessment.latest = entry_at(4);
  preview.assessment.members = {member(Group::gateway, "gw1", Standing::behind, entry_at(3)),
                                member(Group::dns, "ns1", Standing::current, entry_at(4))};
  preview.catch_up = true;
  EXPECT_EQ(render_preview(preview, false),
            "  ~ gateway gw1: serves version 3 of 4\n"
            "0 instances to start, 0 to remove, 0 unchanged.\n");
}

TEST_F(PreviewText, SaysThatThereIsNothingToDo) {
  Preview preview;
  preview.assessment.latest = entry_at(4);
  preview.plan.kept = {placed("api", "c1", "n2")};
  EXPECT_EQ(render_preview(preview, false), "Nothing to do: 1 instance as wanted, version 4 is served.\n");
}

TEST_F(PreviewText, IsTheSameAsJson) {
  const Json json = preview_json(preview_);
  EXPECT_EQ(json.at("create").size(), 3U);
  EXPECT_EQ(json.at("create").at(0).at("name"), "demo-web-a1");
  EXPECT_EQ(json.at("remove").at(0).at("cause"), "replaced by a new revision");
  EXPECT_EQ(json.at("remove").at(0).at("instance").at("node"), "n1");
  EXPECT_EQ(json.at("keep").at(0).at("service"), "api");
  EXPECT_EQ(json.at("routing"), Json(preview_.differences));
  EXPECT_EQ(json.at("complete"), true);
  EXPECT_EQ(json.at("nothing_to_do"), false);
  EXPECT_EQ(json.at("warnings"), Json::array());
  EXPECT_EQ(json.at("problems"), Json::array());
}

Report report_of(Ending ending) {
  Report report;
  report.ending = ending;
  report.latest = entry_at(5);
  report.version = 5;
  report.members = {member(Group::gateway, "gw1", Standing::current, report.latest),
                    member(Group::gateway, "gw2", Standing::unknown)};
  return report;
}

TEST(ReportText, HasOneLinePerEnding) {
  EXPECT_EQ(render_report(report_of(Ending::unchanged), false),
            "Nothing to do. Everything is as wanted; nothing was written anywhere.\n");
  EXPECT_EQ(render_report(report_of(Ending::done), false),
            "Done. Version 5 is served by every gateway and DNS server.\n");
  EXPECT_EQ(render_report(report_of(Ending::failed), false), "Failed; nothing has changed.\n");
  EXPECT_EQ(render_report(report_of(Ending::unfinished), false),
            "Not finished. The next k4t command finishes it or undoes it.\n");
}

TEST(ReportText, NamesWhoLagsAndWhy) {
  Report report = report_of(Ending::lagging);
  report.members.push_back(member(Group::dns, "ns1", Standing::behind, entry_at(4)));
  report.members.back().why = Error{k4t::Status::unavailable, "port 53 is taken", {}};
  EXPECT_EQ(render_report(report, false),
            "Done, but not everywhere. Version 5 is decided; still to catch up:\n"
            "  gateway gw2: does not answer\n"
            "  dns ns1: serves version 4 of 5 (port 53 is taken)\n"
            "They catch up with the next command that changes something, or with `k4t sync`.\n");
}

TEST(ReportText, IsTheSameAsJson) {
  Report report = report_of(Ending::failed);
  report.why = Error{k4t::Status::conflict, "another run took over", "epoch 7"};
  const Json json = report_json(report);
  EXPECT_EQ(json.at("ending"), "failed");
  EXPECT_EQ(json.at("version"), 5);
  EXPECT_EQ(json.at("error"),
            (Json{{"status", "conflict"}, {"message", "another run took over"}, {"detail", "epoch 7"}}));
  EXPECT_EQ(json.at("members").at(0).at("standing"), "current");
  EXPECT_EQ(json.at("members").at(1).at("says"), "does not answer");
  EXPECT_FALSE(json.at("members").at(1).contains("seen")) << "unknown is not empty";
}

TEST(InstancesText, ShowsPhaseHealthAndEndpoints) {
  auto sick = placed("web", "a2", "n2");
  sick.phase = runtime::Phase::exited;
  sick.detail = "out of memory\x1b[2J";
  sick.restarts = 3;
  auto well = placed("web", "a1", "n1");
  well.health = runtime::Health::healthy;
  well.started_at_s = 1000;
  EXPECT_EQ(
      render_instances({well, sick}, 1090, false),
      "SERVICE  INSTANCE     NODE  STATE                       AGE   RESTARTS  REVISION      ENDPOINTS\n"
      "web      demo-web-a1  n1    running, healthy            90 s  0         0123456789ab  http=192.0.2.1:20000\n"
      "web      demo-web-a2  n2    exited (out of memory?[2J)  -     3         0123456789ab  "
      "http=192.0.2.1:20000\n");
  EXPECT_EQ(render_instances({}, 0, false), "No instances.\n");
}

TEST(ReportText, SaysInTheLastLineThatThereIsASingleCopy) {
  Report report = report_of(Ending::done);
  report.single_copy = true;
  EXPECT_TRUE(render_report(report, false)
                  .ends_with("single copy: the record of this change is on this machine only; a [[witness]] or "
                             "[[record]] folder on another one keeps it safe\n"));
  EXPECT_EQ(report_json(report).at("single_copy"), true);
}

class StatusText : public ::testing::Test {
 protected:
  StatusText() {
    cluster_.name = "demo";
    cluster_.domain = "demo.example.net";
    cluster_.gateways = {{"gw1", "nginx", "192.0.2.10", {}}};
    cluster_.dns = {{"ns1", "bind", "192.0.2.53", {}}};
    model::Node node;
    node.name = "n1";
    node.driver = "docker";
    cluster_.nodes = {node};
    status_.assessment.majority = true;
    status_.assessment.latest = entry_at(5);
    status_.assessment.members = {member(Group::gateway, "gw1", Standing::current, status_.assessment.latest),
                                  member(Group::dns, "ns1", Standing::unknown)};
    plan::NodeView view;
    view.name = "n1";
    view.info.cpus = 4;
    view.info.memory_bytes = 8ULL << 30;
    view.instances.resize(1);
    status_.nodes = {view};
    status_.now_s = 1000;
    status_.contacts = {{"dns ns1", {700, 3}}};
    status_.assessment.witnesses = {{{"w1", "local", "/w1"}, Error{k4t::Status::unavailable, "no route", {}}}};
  }
  model::Cluster cluster_;
  operation::Status status_;
};

TEST_F(StatusText, ShowsMembersNodesAndServices) {
  model::Service web;
  web.name = "web";
  web.replicas = 2;
  model::Expose http;
  http.listen = 8080;
  model::Expose tcp;
  tcp.protocol = gateway::Protocol::tcp;
  tcp.listen = 9000;
  web.expose = {http, tcp};
  status_.services = {web};
  status_.instances = {placed("web", "a1", "n1")};
  const std::string revision = plan::revision_of(web);
  EXPECT_EQ(render_status(cluster_, status_, false),
            "Cluster demo  version 5  txn " + status_.assessment.latest->record.txn.substr(0, 12) +
                "\n\n"
                "MEMBER       DRIVER  ADDRESS     STATE    VERSION   LAST CONTACT  DETAIL\n"
                "gateway gw1  nginx   192.0.2.10  current  5         now           serves version 5\n"
                "dns ns1      bind    192.0.2.53  unknown  ?, was 3  5 min ago     does not answer\n"
                "\n"
                "WITNESS  HOST   FOLDER  ROLE     STATE             PROMISED  VOTE\n"
                "w1       local  /w1     retired  silent: no route  -         -\n"
                "\n"
                "NODE  DRIVER  STATE  INSTANCES  CPU  MEMORY\n"
                "n1    docker  ready  1          4    8192 MiB\n"
                "\n"
                "SERVICE  REPLICAS  REVISION      REACHED AT\n"
                "web      1/2       " +
                revision + "  http://web.demo.example.net:8080/ tcp://web.demo.example.net:9000\n");
}

TEST_F(StatusText, TellsHowFarAMemberIsBehindAndSinceWhen) {
  status_.assessment.members.front() = member(Group::gateway, "gw1", Standing::behind, entry_at(3));
  status_.decisions = {{4, "t", 86400, "alpha root", 1}};
  const std::string text = render_status(cluster_, status_, false);
  EXPECT_NE(text.find("serves version 3 of 5, 2 versions behind since 1970-01-02 00:00:00 UTC\n"), std::string::npos)
      << text;
}

TEST_F(StatusText, ShowsAForcedVersionUntilItIsAcknowledged) {
  model::State state = status_.assessment.latest->state;
  state.forced = model::Forced{5, "alpha root", "two disks are gone", "s", {"version 4"}, {"gw2"}, {}, false};
  status_.assessment.latest = std::make_shared<const txn::Entry>(txn::Entry{status_.assessment.latest->record, state});
  const std::string text = render_status(cluster_, status_, false);
  EXPECT_NE(text.find("warning: version 5 was forced by root on alpha: two disks are gone\n"
                      "  given up: version 4\n"
                      "  off the chain since: gateway gw2\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(status_json(cluster_, status_).at("forced").at("why"), "two disks are gone");
}

TEST_F(StatusText, OfAnUnreadableNodeNothingIsClaimed) {
  status_.nodes.front().problem = Error{k4t::Status::unavailable, "no answer", {}};
  const std::string text = render_status(cluster_, status_, false);
  EXPECT_NE(text.find("n1    docker  unreachable: no answer  ?          ?    ?\n"), std::string::npos) << text;
}

TEST_F(StatusText, SaysWhenTheLatestVersionIsNotSure) {
  status_.assessment.majority = false;
  EXPECT_NE(render_status(cluster_, status_, false).find("warning: too few witnesses answer"), std::string::npos);
}

TEST_F(StatusText, SaysHowToBegin) {
  status_.assessment.latest = nullptr;
  const std::string text = render_status(cluster_, status_, false);
  EXPECT_TRUE(text.starts_with("Cluster demo  no version yet\n")) << text;
  EXPECT_TRUE(text.ends_with("No services. Declare one in a file and `k4t apply -f FILE`.\n")) << text;
}

TEST_F(StatusText, IsTheSameAsJson) {
  const Json json = status_json(cluster_, status_);
  EXPECT_EQ(json.at("cluster"), "demo");
  EXPECT_EQ(json.at("version"), 5);
  EXPECT_EQ(json.at("txn"), status_.assessment.latest->record.txn);
  EXPECT_EQ(json.at("majority"), true);
  EXPECT_EQ(json.at("unfinished"), false);
  EXPECT_EQ(json.at("members").at(1).at("standing"), "unknown");
  EXPECT_EQ(json.at("members").at(1).at("last_contact_s"), 700);
  EXPECT_EQ(json.at("members").at(1).at("last_version"), 3);
  EXPECT_FALSE(json.at("members").at(1).contains("version")) << "unknown is not empty";
  EXPECT_EQ(json.at("members").at(0).at("versions_behind"), 0);
  EXPECT_EQ(json.at("witnesses").at(0).at("state"), "silent");
  EXPECT_EQ(json.at("nodes").at(0).at("info").at("cpus"), 4);
  EXPECT_EQ(json.at("services"), Json::array());
}

}  // namespace
}  // namespace k4t::cli
