#include "tkey.hpp"

#include <gtest/gtest.h>

#include "bytes.hpp"
#include "wire.hpp"

/// The expected bytes are those of RFC 2930 §2 and RFC 3645 §4, written out by hand.

namespace k4t::dnsupdate {
namespace {

const TkeyQuery query{0x1234, "k.example.net", "token", 1700000000};
constexpr std::string_view key_name = "016b076578616d706c65036e657400";
constexpr std::string_view algorithm = "086773732d7473696700";  // gss-tsig

/// TKEY data: algorithm, inception, expiration, mode, error, token, no other data.
std::string rdata(const std::string& mode, const std::string& error, const std::string& token) {
  std::string text = std::string(algorithm) + "6553f10065554280" + mode + error;
  std::string length;
  put_u16(length, static_cast<std::uint16_t>(token.size()));
  return text + to_hex(length) + to_hex(token) + "0000";
}

std::string record(const std::string& data) {
  std::string length;
  put_u16(length, static_cast<std::uint16_t>(data.size() / 2));
  return std::string(key_name) + "00f900ff00000000" + to_hex(length) + data;
}

/// An answer to `query`: one question, one record in the answer section.
std::string answer(const std::string& data, const std::string& flags = "8400") {
  return from_hex("1234" + flags + "0001000100000000" + std::string(key_name) + "00f900ff" + record(data));
}

TEST(Tkey, AsksExactlyAsTheRfcSays) {
  const auto message = encode_tkey(query);
  ASSERT_TRUE(message);
  EXPECT_EQ(to_hex(*message),
            "123400000001000000000001" + std::string(key_name) + "00f900ff" + record(rdata("0003", "0000", "token")));
}

TEST(Tkey, TakesTheServersToken) {
  EXPECT_EQ(*decode_tkey(answer(rdata("0003", "0000", "reply")), query), "reply");
  EXPECT_EQ(*decode_tkey(answer(rdata("0003", "0000", "")), query), "");
}

TEST(Tkey, ARefusedTicketIsExplained) {
  const auto refused = decode_tkey(answer(rdata("0003", "0011", "")), query);
  ASSERT_EQ(refused.status(), Status::unavailable);
  EXPECT_NE(refused.error().message.find("did not accept the Kerberos ticket"), std::string::npos);
  EXPECT_EQ(refused.error().detail, "BADKEY");
  EXPECT_EQ(decode_tkey(answer(rdata("0003", "0000", "x"), "8405"), query).error().detail, "REFUSED");
}

TEST(Tkey, AServerWithoutNegotiationIsRecognised) {
  const auto unknown = decode_tkey(answer(rdata("0003", "0000", ""), "8404"), query);
  ASSERT_EQ(unknown.status(), Status::invalid_argument);
  EXPECT_NE(unknown.error().message.find("no Active Directory"), std::string::npos);
}

TEST(Tkey, AnswersForSomebodyElseCountForNothing) {
  auto other_id = answer(rdata("0003", "0000", "reply"));
  other_id[1] = 0;
  EXPECT_EQ(decode_tkey(other_id, query).status(), Status::unavailable);
  const TkeyQuery other_key{query.id, "other.example.net", "token", query.now_s};
  EXPECT_EQ(decode_tkey(answer(rdata("0003", "0000", "reply")), other_key).status(), Status::unavailable);
  EXPECT_EQ(decode_tkey(answer(rdata("0002", "0000", "reply")), query).status(), Status::unavailable);
  EXPECT_EQ(decode_tkey(*encode_tkey(query), query).status(), Status::unavailable) << "no answer at all";
}

TEST(Tkey, AnAnswerCutAnywhereIsMalformedAndNothingWorse) {
  const auto whole = answer(rdata("0003", "0000", "reply"));
  for (std::size_t size = header_bytes; size + 2 < whole.size(); ++size) {
    EXPECT_EQ(decode_tkey(whole.substr(0, size), query).status(), Status::unavailable) << size;
  }
}

TEST(Tkey, ATicketThatNoMessageCanCarryIsRefused) {
  TkeyQuery large = query;
  large.token.assign(65500, 'x');
  EXPECT_EQ(encode_tkey(large).status(), Status::invalid_argument);
}

}  // namespace
}  // namespace k4t::dnsupdate
