#include "index.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "render.hpp"

namespace k4t::dnsparticipant {
namespace {

namespace du = k4t::dnsupdate;

const std::string suffix = "k4t.example.net";
const Key web{"web.k4t.example.net", du::type::a};

std::string text_in(const du::Change& change) { return du::single_text(change.rdata).value_or("(none)"); }

TEST(Index, NotesNameAndTypeAtANameThatDependsOnThem) {
  const auto noted = note_in_index(web, suffix);
  EXPECT_EQ(text_in(noted), "1 web");
  EXPECT_EQ(noted.kind, du::Change::Kind::add);
  EXPECT_EQ(noted.type, du::type::txt);
  EXPECT_EQ(noted.ttl_s, 0U);
  const auto dropped = drop_from_index(web, suffix);
  EXPECT_EQ(dropped.kind, du::Change::Kind::delete_value);
  EXPECT_EQ(dropped.name, noted.name);
  EXPECT_EQ(dropped.rdata, noted.rdata);
}

TEST(Index, StaysWhereOtherVersionsLookForIt) {
  EXPECT_EQ(note_in_index(web, suffix).name, "_k4t-i-02.k4t.example.net");
  EXPECT_EQ(index_names(suffix).size(), 64U);
  EXPECT_EQ(index_names(suffix).front(), "_k4t-i-00.k4t.example.net");
  EXPECT_EQ(index_names(suffix).back(), "_k4t-i-63.k4t.example.net");
}

TEST(Index, EveryKeyComesBack) {
  const std::string label(63, 'n');
  std::string longest = label + "." + label + "." + label + "." + suffix;
  longest = std::string(253 - longest.size() - 1, 'm') + "." + longest;
  const auto names = index_names(suffix);
  for (const auto& name :
       {suffix, std::string("web.k4t.example.net"), std::string("_http._tcp.a.k4t.example.net"), longest}) {
    for (const auto type : {du::type::a, du::type::txt, du::type::aaaa, du::type::srv}) {
      const auto noted = note_in_index({name, type}, suffix);
      EXPECT_EQ(parse_index(text_in(noted), suffix), (Key{name, type}));
      EXPECT_EQ(std::ranges::count(names, noted.name), 1);
    }
  }
}

TEST(Index, ForeignTextsAreRecognised) {
  for (const std::string text : {"", "1", "web", "1  web", "1 ", "70000 web", "-1 web", "1 a..b", "1 web.", " 1 web"}) {
    EXPECT_EQ(parse_index(text, suffix), std::nullopt) << text;
  }
}

TEST(Index, ChangesTravelWithTheRecordsThatTheyNote) {
  const Records present{{{"old.k4t.example.net", du::type::a}, {5, {"1234"}}}};
  const Records target{{web, {5, {"5678"}}}};
  const auto steps = difference(present, target, {true, false, suffix});
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(text_in(steps[0].changes.back()), "1 web");
  EXPECT_EQ(steps[0].changes.back().kind, du::Change::Kind::add);
  EXPECT_EQ(text_in(steps[1].changes.back()), "1 old");
  EXPECT_EQ(steps[1].changes.back().kind, du::Change::Kind::delete_value);
  for (const auto& step : difference(present, target, {})) {
    for (const auto& change : step.changes) EXPECT_NE(change.type, du::type::txt) << "no index unless it is asked for";
  }
}

TEST(Index, ItsNamesCountForTheRoomOfAMessage) {
  Records target;
  for (int i = 0; i < 100; ++i) target[{"h" + std::to_string(i) + "." + suffix, du::type::a}] = {5, {"1234"}};
  auto steps = difference({}, target, {true, false, suffix});
  for (const auto& chunk : chunks(steps, {SIZE_MAX, 20})) {
    std::set<std::string> names;
    for (const auto& step : chunk) {
      for (const auto& change : step.changes) names.insert(change.name);
    }
    EXPECT_LE(names.size(), 20U);
  }
}

TEST(RecordSets, ThatAreTooLargeForTheServerAreRefusedByName) {
  RecordData data{5, {}};
  for (int i = 0; i < 50; ++i) data.rdatas.insert(std::to_string(100 + i) + std::string(250, 'x'));
  const Records target{{{"big." + suffix, du::type::txt}, data}};
  EXPECT_TRUE(check_sizes(target, 60000));
  const auto refused = check_sizes(target, 12000);
  ASSERT_EQ(refused.status(), Status::invalid_argument);
  EXPECT_NE(refused.error().message.find("big.k4t.example.net TXT"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace k4t::dnsparticipant
