#include <gtest/gtest.h>
#include <sys/stat.h>

#include "k4t/dnsupdate.hpp"
#include "support/process.hpp"

namespace k4t::dnsupdate {
namespace {

constexpr const char* base64 = "AAECAwQFBgcICQoLDA0ODw==";
const std::string secret("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 16);

std::string statement(const std::string& algorithm, const std::string& text = base64) {
  return "key \"k4t-key\" {\n\talgorithm " + algorithm + ";\n\tsecret \"" + text + "\";\n};\n";
}

TEST(TsigKeyText, IsReadAsTsigKeygenWritesIt) {
  const auto key = parse_tsig_key(statement("hmac-sha256"));
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->name, "k4t-key");
  EXPECT_EQ(key->algorithm, "hmac-sha256");
  EXPECT_EQ(key->secret, secret);
}

TEST(TsigKeyText, MayHaveCommentsAndAnyOrder) {
  const auto key = parse_tsig_key(std::string("# made by hand\nkey k4t-key { // ours\nsecret ") + base64 +
                                  "; /* longer */ algorithm HMAC-SHA512; };");
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->algorithm, "hmac-sha512");
  EXPECT_EQ(key->secret, secret);
}

TEST(TsigKeyText, MayBeOneLine) {
  const auto key = parse_tsig_key(std::string("k4t-key.:hmac-sha256:") + base64 + "\n");
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->name, "k4t-key");
  EXPECT_EQ(key->secret, secret);
}

TEST(TsigKeyText, IsRefusedWithoutBeingQuoted) {
  const std::vector<std::string> malformed{"",
                                           "key",
                                           "key { }",
                                           "a:b",
                                           statement("hmac-md5"),
                                           statement("hmac-sha256", "not base64!"),
                                           statement("hmac-sha256", "c2hvcnQ="),
                                           std::string("bad..name:hmac-sha256:") + base64,
                                           statement("hmac-sha256") + statement("hmac-sha256")};
  for (const auto& text : malformed) {
    const auto key = parse_tsig_key(text);
    ASSERT_EQ(key.status(), Status::invalid_argument) << text;
    EXPECT_EQ(key.error().message.find(base64), std::string::npos);
    EXPECT_TRUE(key.error().detail.empty());
  }
}

TEST(TsigKeyFile, MustBeClosedToOtherUsers) {
  const testing::Scratch scratch;
  const std::string path = scratch.write("k4t.key", statement("hmac-sha256"), 0640);
  EXPECT_TRUE(read_tsig_key(path));
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  const auto open_to_all = read_tsig_key(path);
  ASSERT_EQ(open_to_all.status(), Status::invalid_argument);
  EXPECT_NE(open_to_all.error().message.find("chmod o-rwx " + path), std::string::npos);
}

TEST(TsigKeyFile, MustExistAndBeAFile) {
  const testing::Scratch scratch;
  EXPECT_EQ(read_tsig_key(scratch.path() / "missing.key").status(), Status::invalid_argument);
  EXPECT_EQ(read_tsig_key(scratch.path()).status(), Status::invalid_argument);
}

}  // namespace
}  // namespace k4t::dnsupdate
