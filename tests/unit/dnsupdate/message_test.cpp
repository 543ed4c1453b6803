#include "message.hpp"

#include <gtest/gtest.h>

#include "bytes.hpp"
#include "wire.hpp"

namespace k4t::dnsupdate {
namespace {

using PrerequisiteKind = Prerequisite::Kind;
using ChangeKind = Change::Kind;

std::string a_record() { return *make_rdata(type::a, "192.0.2.1"); }

TEST(UpdateMessage, HasTheBytesOfRfc2136) {
  Update update{"example.net", {}, {}};
  update.prerequisites = {{PrerequisiteKind::rrset_exists, "a.example.net", type::a, {}},
                          {PrerequisiteKind::rrset_absent, "b.example.net", type::cname, {}},
                          {PrerequisiteKind::rrset_equals, "c.example.net", type::a, {a_record()}},
                          {PrerequisiteKind::name_in_use, "d.example.net", type::a, {}},
                          {PrerequisiteKind::name_not_in_use, "e.example.net", type::a, {}}};
  update.changes = {{ChangeKind::add, "a.example.net", type::a, 5, a_record()},
                    {ChangeKind::delete_rrset, "b.example.net", type::srv, 0, {}},
                    {ChangeKind::delete_name, "c.example.net", type::any, 0, {}},
                    {ChangeKind::delete_value, "d.example.net", type::a, 0, a_record()}};
  const auto message = encode_update(update, 0x1234);
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_EQ(to_hex(*message),
            "1234"
            "2800"
            "0001"
            "0005"
            "0004"
            "0000"
            "076578616d706c65036e6574000006"
            "0001"
            "0161c00c"
            "0001"
            "00ff"
            "00000000"
            "0000"
            "0162c00c"
            "0005"
            "00fe"
            "00000000"
            "0000"
            "0163c00c"
            "0001"
            "0001"
            "00000000"
            "0004"
            "c0000201"
            "0164c00c"
            "00ff"
            "00ff"
            "00000000"
            "0000"
            "0165c00c"
            "00ff"
            "00fe"
            "00000000"
            "0000"
            "c01d"
            "0001"
            "0001"
            "00000005"
            "0004"
            "c0000201"
            "c02b"
            "0021"
            "00ff"
            "00000000"
            "0000"
            "c039"
            "00ff"
            "00ff"
            "00000000"
            "0000"
            "c04b"
            "0001"
            "00fe"
            "00000000"
            "0004"
            "c0000201");
}

TEST(UpdateMessage, NeverNeedsMoreThanItsUpperBound) {
  Update update{"example.net", {}, {}};
  std::size_t bound = envelope_bytes(update.zone);
  for (int i = 0; i < 500; ++i) {
    const std::string name = "h" + std::to_string(i) + ".example.net";
    update.prerequisites.push_back({PrerequisiteKind::rrset_absent, name, type::cname, {}});
    update.changes.push_back({ChangeKind::add, name, type::srv, 5, *make_rdata(type::srv, "0 0 80 t." + name)});
    bound += wire_bytes(update.prerequisites.back()) + wire_bytes(update.changes.back());
  }
  const auto message = encode_update(update, 1);
  ASSERT_TRUE(message);
  EXPECT_LE(message->size(), bound);
  // Names of single labels in the root compress not at all: the bound is then exact but for the signature.
  const Update flat{"", {}, {{ChangeKind::add, "x", type::a, 5, a_record()}}};
  EXPECT_EQ(encode_update(flat, 1)->size() + 512 + 1, envelope_bytes("") + wire_bytes(flat.changes[0]));
}

TEST(UpdateMessage, CompressesOnlyNamesThatAreBelowItsZone) {
  Update update{"example.net", {}, {}};
  const std::vector<std::string> names{
      "example.net",    "a.example.net", "a.example.net",     "b.a.example.net",     "net",
      "notexample.net", "a.example.org", R"(a\.example.net)", R"(\042.example.net)", "xexample.net.net"};
  for (const auto& name : names) update.changes.push_back({ChangeKind::delete_name, name, type::any, 0, {}});
  const auto message = encode_update(update, 1);
  ASSERT_TRUE(message) << message.error().message;
  Reader reader(*message, header_bytes);
  EXPECT_EQ(reader.name(), *name_to_wire("example.net"));
  reader.take(4);
  for (const auto& name : names) {
    EXPECT_EQ(reader.name(), *name_to_wire(name));
    reader.take(10);  // type, class, TTL, no data
  }
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.at(), message->size());
}

TEST(UpdateMessage, TooLargeIsRefused) {
  Update update{"example.net", {}, {}};
  const std::string text = *make_rdata(type::txt, std::string(255, 'x'));
  for (int i = 0; i < 300; ++i) {
    update.changes.push_back({ChangeKind::add, "n" + std::to_string(i) + ".example.net", type::txt, 0, text});
  }
  EXPECT_EQ(encode_update(update, 1).status(), Status::invalid_argument);
}

TEST(Name, HasLabelsOfAtMost63BytesAnd255InAll) {
  const std::string label(63, 'a');
  EXPECT_TRUE(check_name(label + ".example.net"));
  EXPECT_EQ(check_name(label + "a.example.net").status(), Status::invalid_argument);
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  EXPECT_TRUE(check_name(longest));
  EXPECT_EQ(check_name(longest + "a").status(), Status::invalid_argument);
  for (const std::string bad : {".", "a..b", ".a", "a."}) {
    EXPECT_EQ(check_name(bad).status(), Status::invalid_argument) << bad;
  }
}

TEST(Value, OfAnAddressIsCanonicalText) {
  EXPECT_EQ(to_hex(*make_rdata(type::a, "192.0.2.1")), "c0000201");
  EXPECT_EQ(to_hex(*make_rdata(type::aaaa, "2001:db8::1")), "20010db8000000000000000000000001");
  for (const std::string bad : {"192.0.2", "192.0.2.01", "2001:db8::1", "", "192.0.2.1 "}) {
    EXPECT_EQ(make_rdata(type::a, bad).status(), Status::invalid_argument) << bad;
  }
  const auto long_form = make_rdata(type::aaaa, "2001:db8:0:0::1");
  ASSERT_EQ(long_form.status(), Status::invalid_argument);
  EXPECT_NE(long_form.error().message.find("'2001:db8::1'"), std::string::npos);
}

TEST(Value, OfAServiceIsFourWords) {
  EXPECT_EQ(to_hex(*make_rdata(type::srv, "1 2 80 web.example.net")),
            "000100020050"
            "03776562076578616d706c65036e657400");
  for (const std::string bad :
       {"1 2 80", "1 2 65536 web", "1  2 80 web", "01 2 80 web", "1 2 80 web.", "-1 2 80 web"}) {
    EXPECT_EQ(make_rdata(type::srv, bad).status(), Status::invalid_argument) << bad;
  }
}

TEST(Value, OfATextIsTakenByteForByte) {
  const std::string nasty = std::string("\"; \\ %[x] ${y} `z` \n\xc3\xa4") + '\0' + "end";
  const auto rdata = make_rdata(type::txt, nasty);
  ASSERT_TRUE(rdata);
  EXPECT_EQ(single_text(*rdata), nasty);
  EXPECT_TRUE(make_rdata(type::txt, std::string(255, 'x')));
  EXPECT_EQ(make_rdata(type::txt, std::string(256, 'x')).status(), Status::invalid_argument);
  EXPECT_EQ(single_text(from_hex("01610162")), std::nullopt) << "two strings are not one";
}

TEST(Answer, IsReadWithNamesInLowerCase) {
  const auto good = from_hex(
      "12348400000100010000000003574542076578616d706c65036e65740000210001"
      "c00c0021000100000005000b"
      "000100020050"
      "0354675400");
  const auto sections = decode_answer(good, "web.example.net", type::srv);
  ASSERT_TRUE(sections) << sections.error().detail;
  ASSERT_EQ(sections->answer.size(), 1U);
  EXPECT_EQ(sections->answer[0], (Record{"web.example.net", type::srv, 5, *make_rdata(type::srv, "1 2 80 tgt")}));
  EXPECT_EQ(decode_answer(good, "other.example.net", type::srv).status(), Status::unavailable);
}

TEST(Answer, HasDataWithoutCompression) {
  const auto message = from_hex(
      "12348400000100030001000003777777076578616d706c65036e65740000050001"
      "c00c0005000100000005000603574562c010"  // www CNAME WEb.example.net
      "c02d00010001000000050004c0000201"      // WEb A 192.0.2.1
      "c02d00100001000000050005"
      "0461c00c62"  // WEb TXT: bytes that only look like a pointer
      "c0100002000100000005000603"
      "6e7331c010");  // example.net NS ns1.example.net
  const auto sections = decode_answer(message, "www.example.net", type::cname);
  ASSERT_TRUE(sections) << sections.error().message;
  const std::vector<Record> answer{{"www.example.net", type::cname, 5, *make_rdata(type::cname, "web.example.net")},
                                   {"web.example.net", type::a, 5, a_record()},
                                   {"web.example.net", type::txt, 5, from_hex("0461c00c62")}};
  EXPECT_EQ(sections->answer, answer);
  const std::vector<Record> authority{{"example.net", type::ns, 5, *make_rdata(type::ns, "ns1.example.net")}};
  EXPECT_EQ(sections->authority, authority);
}

TEST(Answer, ThatIsCutAnywhereNeverPasses) {
  const auto good = from_hex(
      "12348400000100010000000003574542076578616d706c65036e65740000210001"
      "c00c0021000100000005000b"
      "000100020050"
      "0354675400");
  for (std::size_t size = 12; size < good.size(); ++size) {
    EXPECT_FALSE(decode_answer(good.substr(0, size), "web.example.net", type::srv)) << size << " bytes";
  }
}

TEST(Rcode, OfAnUpdateTellsWhatIsKnown) {
  EXPECT_EQ(update_error(Rcode::rrset_missing, "s", "z").status, Status::conflict);
  EXPECT_EQ(update_error(Rcode::rrset_exists, "s", "z").status, Status::conflict);
  EXPECT_EQ(update_error(Rcode::name_exists, "s", "z").status, Status::conflict);
  EXPECT_EQ(update_error(Rcode::name_error, "s", "z").status, Status::conflict);
  EXPECT_EQ(update_error(Rcode::refused, "s", "z").status, Status::invalid_argument);
  EXPECT_EQ(update_error(Rcode::not_auth, "s", "z").status, Status::invalid_argument);
  EXPECT_EQ(update_error(Rcode::not_zone, "s", "z").status, Status::invalid_argument);
  EXPECT_EQ(update_error(Rcode::server_failure, "s", "z").status, Status::unavailable);
  EXPECT_NE(update_error(Rcode::server_failure, "s", "z").message.find("read again before deciding"),
            std::string::npos);
  EXPECT_EQ(query_error(Rcode::server_failure, "s", "n").status, Status::unavailable);
  EXPECT_EQ(query_error(Rcode::refused, "s", "n").status, Status::invalid_argument);
}

}  // namespace
}  // namespace k4t::dnsupdate
