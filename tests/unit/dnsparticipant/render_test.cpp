#include "render.hpp"
#include "register_text.hpp"

#include <gtest/gtest.h>

namespace k4t::dnsparticipant {
namespace {

namespace du = k4t::dnsupdate;

const std::string suffix = "k4t.example.net";
const std::string txn = "0123456789abcdef0123456789abcdef";

dns::State state_of(dns::RecordSet set) { return {suffix, {std::move(set)}}; }

Records content(const std::vector<std::string>& names, const std::string& address = "192.0.2.1") {
  Records records;
  for (const auto& name : names) records[{name, du::type::a}] = {5, {*du::make_rdata(du::type::a, address)}};
  return records;
}

du::Record record(const std::string& name, std::uint16_t type, const std::string& value) {
  return {name, type, 60, *du::make_rdata(type, value)};
}

std::string refusal(const dns::RecordSet& set) {
  const auto rendered = render(state_of(set), suffix);
  return rendered ? "" : rendered.error().message;
}

TEST(RegisterText, GoesThereAndBack) {
  const RegisterText closed{{"test", 43, txn, "run.7"}, {}, 0};
  EXPECT_EQ(format(closed), "1 test 43 " + txn + " run.7");
  EXPECT_EQ(*parse_register(format(closed)), closed);
  const RegisterText open{{"test", 43, txn, "run.7"}, 42, 3};
  EXPECT_EQ(format(open), "1 test 43 " + txn + " run.7 from=42 chunk=3");
  EXPECT_EQ(*parse_register(format(open)), open);
}

TEST(RegisterText, OfAnybodyElseIsRefused) {
  const std::vector<std::string> texts{"",
                                       "hello",
                                       "2 test 43 " + txn + " run.7",
                                       "1 test 43 " + txn,
                                       "1 test 43 " + txn + "  run.7",
                                       "1 test 043 " + txn + " run.7",
                                       "1 test -1 " + txn + " run.7",
                                       "1 test 43 XYZ run.7",
                                       "1 test 43 " + txn + " run.7 from=42",
                                       "1 test 43 " + txn + " run.7 from=x chunk=1",
                                       "1 test 43 " + txn + " run.7 from=42 chunk=1 more"};
  for (const auto& text : texts) EXPECT_EQ(parse_register(text).status(), Status::invalid_argument) << text;
}

TEST(RegisterText, MustFitIntoOneString) {
  EXPECT_TRUE(check_register({"test", 1, txn, "run.1"}));
  EXPECT_FALSE(check_register({std::string(200, 'c'), 1, txn, "run.1"}));
  EXPECT_FALSE(check_register({"two words", 1, txn, "run.1"}));
  EXPECT_FALSE(check_register({"test", 1, "short", "run.1"}));
}

TEST(Render, RefusesNamesThatCouldNotBeServedAsMeant) {
  const std::string inside = "." + suffix;
  const std::vector<std::string> names{"-web" + inside,
                                       "web-" + inside,
                                       "*" + inside,
                                       "*.web" + inside,
                                       "a..b" + inside,
                                       "Web" + inside,
                                       std::string(64, 'a') + inside,
                                       "we b" + inside,
                                       "a\\.b" + inside,
                                       "web.example.org",
                                       "example.net",
                                       "notk4t.example.net",
                                       "",
                                       "web" + inside + "."};
  for (const auto& name : names) EXPECT_NE(refusal({name, dns::Type::a, 5, {"192.0.2.1"}}), "") << name;
  EXPECT_EQ(refusal({std::string(63, 'a') + inside, dns::Type::a, 5, {"192.0.2.1"}}), "");
  EXPECT_EQ(refusal({suffix, dns::Type::a, 5, {"192.0.2.1"}}), "");
  EXPECT_EQ(refusal({"_http._tcp.web" + inside, dns::Type::srv, 5, {"0 0 80 web" + inside}}), "");
}

TEST(Render, KeepsItsOwnRegistersOutOfReach) {
  for (const std::string label : {"_k4t", "_k4t-try", "_k4t-w-1", "x._k4t", "_k4tx"}) {
    EXPECT_NE(refusal({label + "." + suffix, dns::Type::txt, 5, {"x"}}).find("_k4t"), std::string::npos) << label;
  }
}

TEST(Render, RefusesMalformedValuesAndTooManyOfThem) {
  EXPECT_NE(refusal({"a." + suffix, dns::Type::a, 5, {}}), "");
  EXPECT_NE(refusal({"a." + suffix, dns::Type::a, 5, {"192.0.2.1", "192.0.2.1"}}), "");
  EXPECT_NE(refusal({"a." + suffix, dns::Type::a, 5, {"::1"}}), "");
  EXPECT_NE(refusal({"a." + suffix, dns::Type::srv, 5, {"0 0 80 *.example.net"}}), "");
  EXPECT_NE(refusal({"a." + suffix, dns::Type::a, 0x80000000, {"192.0.2.1"}}), "");
  std::vector<std::string> values;
  for (int i = 0; i < 100; ++i) values.push_back("192.0.2." + std::to_string(i));
  EXPECT_EQ(refusal({"a." + suffix, dns::Type::a, 5, values}), "");
  values.push_back("192.0.2.100");
  EXPECT_NE(refusal({"a." + suffix, dns::Type::a, 5, values}).find("at most 100"), std::string::npos);
}

TEST(Difference, AddsBeforeItRemoves) {
  const auto steps =
      difference(content({"old." + suffix, "same." + suffix}), content({"new." + suffix, "same." + suffix}), {});
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(describe(steps[0].key), "new." + suffix + " A");
  EXPECT_TRUE(steps[0].put);
  EXPECT_EQ(describe(steps[1].key), "old." + suffix + " A");
  EXPECT_FALSE(steps[1].put);
  EXPECT_EQ(difference(content({"old." + suffix}), content({}), {.remove_extras = false}).size(), 0U);
}

TEST(Difference, RequiresThatNoCnameIsThereOrDeletesIt) {
  const std::string web = "web." + suffix;
  const auto added = difference({}, content({web}), {});
  ASSERT_EQ(added.size(), 1U);
  ASSERT_EQ(added[0].prerequisites.size(), 1U);
  EXPECT_EQ(added[0].prerequisites[0].kind, du::Prerequisite::Kind::rrset_absent);
  EXPECT_EQ(added[0].prerequisites[0].type, du::type::cname);
  Records present;
  present[{web, du::type::cname}] = {60, {*du::make_rdata(du::type::cname, "else.example.net")}};
  const auto replaced = difference(present, content({web}), {.remove_extras = false});
  ASSERT_EQ(replaced.size(), 1U);
  EXPECT_TRUE(replaced[0].prerequisites.empty());
  EXPECT_EQ(replaced[0].changes[0].kind, du::Change::Kind::delete_rrset);
  EXPECT_EQ(replaced[0].changes[0].type, du::type::cname);
}

TEST(Chunks, AreCutExactlyAtTheLimit) {
  std::vector<std::string> names;
  for (int i = 10; i < 20; ++i) names.push_back("h" + std::to_string(i) + "." + suffix);
  auto steps = difference({}, content(names), {});
  // Per step: prerequisite and deletion of name + 12 bytes each, the addition 4 more.
  const std::size_t step_bytes = 3 * (names[0].size() + 12) + 4;
  const auto sizes = [&](std::size_t room_bytes) {
    std::vector<std::size_t> counts;
    for (const auto& chunk : chunks(steps, {room_bytes, SIZE_MAX})) counts.push_back(chunk.size());
    return counts;
  };
  EXPECT_EQ(sizes(10 * step_bytes), (std::vector<std::size_t>{10}));
  EXPECT_EQ(sizes(10 * step_bytes - 1), (std::vector<std::size_t>{9, 1}));
  EXPECT_EQ(sizes(5 * step_bytes), (std::vector<std::size_t>{5, 5}));
  EXPECT_EQ(sizes(1), (std::vector<std::size_t>(10, 1))) << "a step is never split";
  EXPECT_EQ(chunks({}, {1000, SIZE_MAX}).size(), 1U) << "the register is written even when nothing else changes";
}

TEST(SortOut, KnowsWhoseNamesAreWhose) {
  const auto present = sort_out({record("example.net", du::type::ns, "ns1.example.net"),
                                 record("sub.k4t.example.net", du::type::ns, "ns9.k4t.example.net"),
                                 record("host.sub.k4t.example.net", du::type::a, "192.0.2.1"),
                                 record("ns9.k4t.example.net", du::type::a, "192.0.2.2"),
                                 record("ns9.k4t.example.net", du::type::txt, "ours"),
                                 record("_k4t.k4t.example.net", du::type::txt, "register"),
                                 record("_k4t-try.k4t.example.net", du::type::txt, "x"),
                                 record("_k4t.b.k4t.example.net", du::type::txt, "theirs"),
                                 record("web.b.k4t.example.net", du::type::a, "192.0.2.3"),
                                 record("web.k4t.example.net", du::type::a, "192.0.2.4"),
                                 record("www.example.net", du::type::a, "192.0.2.5"),
                                 {"k4t.example.net", 46, 60, "a signature"}},
                                "example.net", suffix);
  std::vector<std::string> ours;
  for (const auto& [key, data] : present.ours) ours.push_back(describe(key));
  EXPECT_EQ(ours, (std::vector<std::string>{"ns9.k4t.example.net TXT", "web.k4t.example.net A"}));
  EXPECT_EQ(present.foreign_roots, (std::set<std::string>{"b.k4t.example.net", "sub.k4t.example.net"}));
  EXPECT_FALSE(check_place(content({"x.sub.k4t.example.net"}), present, false));
  EXPECT_FALSE(check_place(content({"x.b.k4t.example.net"}), present, false));
  EXPECT_FALSE(check_place(content({"ns9.k4t.example.net"}), present, false));
  EXPECT_TRUE(check_place(content({"web.k4t.example.net"}), present, false));
  EXPECT_FALSE(check_place(content({"web.k4t.example.net"}), present, true));
}

TEST(SortOut, NoticesThatTheWholeSuffixIsDelegated) {
  const auto present = sort_out({record("k4t.example.net", du::type::ns, "ns.example.org")}, "example.net", suffix);
  EXPECT_FALSE(check_place(content({"web.k4t.example.net"}), present, true));
}

TEST(Drift, NamesAFewAndCountsTheRest) {
  EXPECT_EQ(drift(content({"a." + suffix}), content({"a." + suffix}), 10), "");
  EXPECT_EQ(drift(content({"a." + suffix, "c." + suffix}), content({"a." + suffix, "b." + suffix}, "192.0.2.2"), 2),
            "changed a.k4t.example.net A, missing b.k4t.example.net A and 1 more");
}

}  // namespace
}  // namespace k4t::dnsparticipant
