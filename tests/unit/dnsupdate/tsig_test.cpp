#include "tsig.hpp"

#include <gtest/gtest.h>

#include "bytes.hpp"
#include "wire.hpp"

/// The expected bytes were computed apart from this code, with an HMAC over the fields as RFC 8945 §4.3 lists them.

namespace k4t::dnsupdate {
namespace {

constexpr std::uint64_t now_s = 1700000000;
constexpr std::string_view plain = "123428000001000000000000076578616d706c65036e65740000060001";
constexpr std::string_view signed_request =
    "123428000001000000000001076578616d706c65036e65740000060001076b34742d6b65790000fa00ff00000000003d0b686d61632d736861"
    "3235"
    "360000006553f100012c0020e9ea7b7b3c0f4da997568514d6733923e37da242c856ed55231b4fa57d136a69123400000000";
constexpr std::string_view answer =
    "1234a8000000000000000001076b34742d6b65790000fa00ff00000000003d0b686d61632d7368613235360000006553f101012c00200de94e"
    "ff10"
    "d5dbeb0885aa2338574c1b748f42d6a65cc0ead3de8ebac9211d3c123400000000";
constexpr std::string_view unsigned_second = "123484000000000000000000";
constexpr std::string_view signed_third =
    "123484000000000000000001076b34742d6b65790000fa00ff00000000003d0b686d61632d7368613235360000006553f102012c002065775a"
    "5871"
    "ae00d9b7208739de3cf025e5d1e929bc901ee1ad9625b80308b037123400000000";
constexpr std::string_view bad_time =
    "1234a8090000000000000001076b34742d6b65790000fa00ff0000000000430b686d61632d7368613235360000006553f100012c00207bf9a6"
    "dc5b"
    "73bb01b8d4a9a1d350bb50ef6421dafa205055bc16c55a38ec689012340012000600006554180f";
constexpr std::string_view bad_sig =
    "1234a8090000000000000001076b34742d6b65790000fa00ff00000000001d0b686d61632d7368613235360000006553f100012c0000123400"
    "1000"
    "00";
constexpr std::string_view bad_key =
    "1234a8090000000000000001076b34742d6b65790000fa00ff00000000001d0b686d61632d7368613235360000006553f100012c0000123400"
    "1100"
    "00";

TsigKey key(const std::string& algorithm = "hmac-sha256") {
  std::string secret;
  for (char byte = 0; byte < 32; ++byte) secret += byte;
  return {"k4t-key", algorithm, secret};
}

std::unique_ptr<Verifier> after_request() {
  auto message = from_hex(plain);
  auto verifier = make_tsig(key())->sign(message, now_s);
  return std::move(verifier).value();
}

TEST(Tsig, SignsARequestExactlyAsTheRfcSays) {
  auto message = from_hex(plain);
  ASSERT_TRUE(make_tsig(key())->sign(message, now_s));
  EXPECT_EQ(to_hex(message), signed_request);
}

TEST(Tsig, SignsWithSha512Too) {
  auto message = from_hex(plain);
  ASSERT_TRUE(make_tsig(key("hmac-sha512"))->sign(message, now_s));
  const auto record = find_tsig(message);
  ASSERT_TRUE(record && *record);
  EXPECT_EQ(
      to_hex((*record)->mac),
      "92e8a6f1e7b3cc1b521fd1e83e746e6001e4380f72c0a43894fe8ed53e5c046b35501d0c410010745132b2df8518c3f78760e93ac6b2894c"
      "7ca5cd480bccba13");
}

TEST(Tsig, AcceptsTheRightAnswer) {
  const auto verifier = after_request();
  EXPECT_TRUE(verifier->verify(from_hex(answer), now_s + 1));
  EXPECT_TRUE(verifier->finish());
}

TEST(Tsig, RejectsAnAnswerWithAnyByteChanged) {
  const auto good = from_hex(answer);
  for (std::size_t at = 2; at < good.size(); ++at) {
    auto forged = good;
    forged[at] = static_cast<char>(forged[at] ^ 0x01);
    EXPECT_FALSE(after_request()->verify(forged, now_s + 1)) << "byte " << at;
  }
}

TEST(Tsig, RejectsATruncatedSignatureAndTruncatedMessages) {
  const auto good = from_hex(answer);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(after_request()->verify(good.substr(0, size), now_s + 1)) << size << " bytes";
  }
}

TEST(Tsig, RejectsAnUnsignedAnswer) {
  const auto outcome = after_request()->verify(from_hex("1234a8000000000000000000"), now_s);
  EXPECT_EQ(outcome.status(), Status::unavailable);
}

TEST(Tsig, RejectsTheAnswerToAnotherRequest) {
  auto other = from_hex("ffff28000001000000000000076578616d706c65036e65740000060001");
  auto verifier = make_tsig(key())->sign(other, now_s);
  ASSERT_TRUE(verifier);
  EXPECT_FALSE((*verifier)->verify(from_hex(answer), now_s + 1));
}

TEST(Tsig, RejectsAnAnswerFromLongAgo) {
  EXPECT_TRUE(after_request()->verify(from_hex(answer), now_s + 301));
  EXPECT_FALSE(after_request()->verify(from_hex(answer), now_s + 302));
}

TEST(Tsig, FollowsALongAnswerWithUnsignedMessagesInBetween) {
  const auto verifier = after_request();
  ASSERT_TRUE(verifier->verify(from_hex(answer), now_s + 1));
  ASSERT_TRUE(verifier->verify(from_hex(unsigned_second), now_s + 1));
  EXPECT_FALSE(verifier->finish()) << "the last message must be signed";
  ASSERT_TRUE(verifier->verify(from_hex(signed_third), now_s + 2));
  EXPECT_TRUE(verifier->finish());
}

TEST(Tsig, NoticesAMessageMissingFromALongAnswer) {
  const auto verifier = after_request();
  ASSERT_TRUE(verifier->verify(from_hex(answer), now_s + 1));
  EXPECT_FALSE(verifier->verify(from_hex(signed_third), now_s + 2));
}

TEST(Tsig, AllowsNinetyNineUnsignedMessagesAndNoMore) {
  const auto verifier = after_request();
  ASSERT_TRUE(verifier->verify(from_hex(answer), now_s + 1));
  for (int i = 0; i < 99; ++i) ASSERT_TRUE(verifier->verify(from_hex(unsigned_second), now_s + 1));
  EXPECT_FALSE(verifier->verify(from_hex(unsigned_second), now_s + 1));
}

TEST(Tsig, ExplainsWhatTheServerHoldsAgainstTheKey) {
  const auto unknown = after_request()->verify(from_hex(bad_key), now_s);
  ASSERT_EQ(unknown.status(), Status::invalid_argument);
  EXPECT_NE(unknown.error().message.find("does not know the TSIG key 'k4t-key'"), std::string::npos);
  const auto wrong = after_request()->verify(from_hex(bad_sig), now_s);
  ASSERT_EQ(wrong.status(), Status::invalid_argument);
  EXPECT_NE(wrong.error().message.find("another secret"), std::string::npos);
}

TEST(Tsig, ExplainsClocksThatDiffer) {
  const auto outcome = after_request()->verify(from_hex(bad_time), now_s);
  ASSERT_EQ(outcome.status(), Status::unavailable);
  EXPECT_NE(outcome.error().message.find("clocks"), std::string::npos);
  EXPECT_NE(outcome.error().detail.find("1700009999"), std::string::npos);
}

TEST(Tsig, RefusesAMessageThatIsTooLargeWithItsSignature) {
  std::string message = from_hex(plain);
  message.resize(65500);
  EXPECT_EQ(make_tsig(key())->sign(message, now_s).status(), Status::invalid_argument);
}

/// A negotiated key whose codes can be written by hand: the signed bytes themselves.
class Plain final : public MacScheme {
 public:
  Result<std::string> make(std::string_view bytes) override { return "mac:" + std::string(bytes); }
  bool fits(std::string_view bytes, std::string_view mac) override { return mac == "mac:" + std::string(bytes); }
};

struct Exchange {
  explicit Exchange(TsigRules rules) {
    auto authenticator = make_tsig_authenticator("key", "gss-tsig", std::make_shared<Plain>(), std::move(rules));
    verifier = (*authenticator)->sign(request, now_s).value();
  }
  /// The server's answer, signed over the request's MAC with or without its length.
  [[nodiscard]] std::string signed_answer(bool with_length) const {
    const std::string mac = (*find_tsig(request))->mac;
    std::string head;
    put_u16(head, static_cast<std::uint16_t>(mac.size()));
    std::string covered = (with_length ? head : "") + mac + from_hex("1234a8000000000000000000") +
                          from_hex("036b65790000ff00000000086773732d747369670000006553f100012c00000000");
    std::string rdata = from_hex("086773732d747369670000006553f100012c");
    put_u16(rdata, static_cast<std::uint16_t>(covered.size() + 4));
    rdata += "mac:" + covered + from_hex("123400000000");
    std::string answered = from_hex("1234a8000000000000000001") + from_hex("036b65790000fa00ff00000000");
    put_u16(answered, static_cast<std::uint16_t>(rdata.size()));
    return answered + rdata;
  }
  /// Our own message with the answer bit and a code.
  [[nodiscard]] std::string echo(int rcode) const {
    std::string message = request;
    message[2] = static_cast<char>(0xa8);
    message[3] = static_cast<char>(rcode);
    return message;
  }
  std::string request = from_hex(plain);
  std::unique_ptr<Verifier> verifier;
};

TEST(NegotiatedKey, AnswersMaySignTheRequestsCodeWithItsLengthOrAsSambaDoesWithout) {
  const TsigRules negotiated{true, "grant it"};
  for (const bool with_length : {true, false}) {
    const Exchange exchange(negotiated);
    EXPECT_TRUE(exchange.verifier->verify(exchange.signed_answer(with_length), now_s)) << with_length;
  }
  const Exchange shared({});
  EXPECT_TRUE(shared.verifier->verify(shared.signed_answer(true), now_s));
  EXPECT_FALSE(Exchange({}).verifier->verify(shared.signed_answer(false), now_s)) << "only where it was negotiated";
}

TEST(NegotiatedKey, AnEchoOfOurOwnMessageIsNoProofOfAnything) {
  const TsigRules negotiated{true, "grant it"};
  const Exchange exchange(negotiated);
  const auto echoed = [&](int rcode) { return Exchange(negotiated).verifier->verify(exchange.echo(rcode), now_s); };
  const auto failed = echoed(2);
  ASSERT_EQ(failed.status(), Status::unavailable);
  EXPECT_NE(failed.error().message.find("SERVFAIL"), std::string::npos) << failed.error().message;
  EXPECT_NE(failed.error().message.find("grant it"), std::string::npos) << failed.error().message;
  EXPECT_EQ(echoed(8).status(), Status::conflict);
  EXPECT_EQ(echoed(0).status(), Status::unavailable) << "success above all";
  EXPECT_EQ(Exchange({}).verifier->verify(exchange.echo(8), now_s).status(), Status::unavailable);
}

TEST(NegotiatedKey, IsForgottenWhereTheServerDoesNotKnowItAnyMore) {
  const Exchange echoed({true, {}});
  EXPECT_FALSE(echoed.verifier->verify(echoed.echo(9), now_s));
  EXPECT_TRUE(echoed.verifier->key_forgotten());
  const Exchange told({true, {}});
  EXPECT_EQ(told.verifier->verify(from_hex(bad_key), now_s).status(), Status::unavailable);
  EXPECT_TRUE(told.verifier->key_forgotten());
  const Exchange refused({true, {}});
  EXPECT_FALSE(refused.verifier->verify(refused.echo(5), now_s));
  EXPECT_FALSE(refused.verifier->key_forgotten());
  const auto shared = after_request();
  EXPECT_FALSE(shared->verify(from_hex(bad_key), now_s));
  EXPECT_FALSE(shared->key_forgotten()) << "a secret is not negotiated again";
}

TEST(Reader, EndsOnCompressionPointersThatLoop) {
  std::string message(12, '\0');
  message += from_hex("c00c");
  Reader self(message, 12);
  self.name();
  EXPECT_FALSE(self.ok());
  message = std::string(12, '\0') + from_hex("0161c00c");
  Reader label_and_back(message, 12);
  label_and_back.name();
  EXPECT_FALSE(label_and_back.ok());
}

}  // namespace
}  // namespace k4t::dnsupdate
