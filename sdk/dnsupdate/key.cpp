#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <optional>
#include <utility>

#include "k4t/secret_file.hpp"
#include "tsig.hpp"
#include "wire.hpp"

namespace k4t::dnsupdate {
namespace {

constexpr std::size_t secret_min_bytes = 16;

const EVP_MD* digest_of(std::string_view algorithm) {
  if (algorithm == "hmac-sha256") return EVP_sha256();
  if (algorithm == "hmac-sha512") return EVP_sha512();
  return nullptr;
}

/// HMAC (RFC 2104) under a shared secret, which is wiped at the end.
class Hmac final : public MacScheme {
 public:
  Hmac(const EVP_MD* digest, std::string secret) : digest_(digest), secret_(std::move(secret)) {}
  ~Hmac() override { OPENSSL_cleanse(secret_.data(), secret_.size()); }
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;

  Result<std::string> make(std::string_view bytes) override {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
    unsigned size_bytes = 0;
    if (::HMAC(digest_, secret_.data(), static_cast<int>(secret_.size()),
               reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), mac.data(),
               &size_bytes) == nullptr) {
      return Error{Status::fatal, "OpenSSL could not compute an HMAC", {}};
    }
    return std::string(reinterpret_cast<const char*>(mac.data()), size_bytes);
  }

  bool fits(std::string_view bytes, std::string_view mac) override {
    const auto own = make(bytes);
    return own && own->size() == mac.size() && CRYPTO_memcmp(own->data(), mac.data(), mac.size()) == 0;
  }

 private:
  const EVP_MD* digest_;
  std::string secret_;
};

std::optional<std::string> decode_base64(std::string_view text) {
  std::string compact;
  for (const char byte : text) {
    if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r') compact += byte;
  }
  if (compact.empty() || compact.size() % 4 != 0) return std::nullopt;
  const auto padding = compact.size() - (compact.find_last_not_of('=') + 1);
  std::string bytes(compact.size() / 4 * 3, '\0');
  const int count =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(compact.data()), static_cast<int>(compact.size()));
  if (count < 0 || padding > 2) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(count) - padding);
  return bytes;
}

/// The words of BIND's configuration syntax: punctuation is a word of its own, quotes and comments vanish.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::size_t at = 0;
  const auto skip_past = [&](std::string_view end) {
    const auto found = text.find(end, at);
    at = found == std::string_view::npos ? text.size() : found + end.size();
  };
  while (at < text.size()) {
    const auto rest = text.substr(at);
    if (rest.starts_with("//") || rest[0] == '#') {
      skip_past("\n");
    } else if (rest.starts_with("/*")) {
      skip_past("*/");
    } else if (rest[0] == '"') {
      const std::size_t begin = ++at;
      skip_past("\"");
      words.emplace_back(text.substr(begin, at - begin - (at > begin ? 1 : 0)));
    } else if (std::string_view("{};").find(rest[0]) != std::string_view::npos) {
      words.emplace_back(1, rest[0]);
      ++at;
    } else if (std::string_view(" \t\r\n").find(rest[0]) != std::string_view::npos) {
      ++at;
    } else {
      const auto size = std::min(rest.find_first_of(" \t\r\n{};\""), rest.size());
      words.emplace_back(rest.substr(0, size));
      at += size;
    }
  }
  return words;
}

struct KeyText {
  std::string name;
  std::string algorithm;
  std::string secret;
};

std::optional<KeyText> from_statement(const std::vector<std::string>& words) {
  // key NAME { algorithm A ; secret S ; } ;   — the last ';' may be missing
  if (words.size() < 10 || words.size() > 11 || words[0] != "key" || words[2] != "{" || words[9] != "}") {
    return std::nullopt;
  }
  KeyText key{words[1], {}, {}};
  for (const std::size_t at : {3U, 6U}) {
    if (words[at + 2] != ";") return std::nullopt;
    if (words[at] == "algorithm") key.algorithm = words[at + 1];
    if (words[at] == "secret") key.secret = words[at + 1];
  }
  return key;
}

std::optional<KeyText> from_triple(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  const auto first = text.find(':');
  const auto second = text.find(':', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  return KeyText{std::string(text.substr(0, first)), std::string(text.substr(first + 1, second - first - 1)),
                 std::string(text.substr(second + 1))};
}

Error invalid(std::string message) { return Error{Status::invalid_argument, std::move(message), {}}; }

}  // namespace

Result<TsigKey> parse_tsig_key(std::string_view text) {
  auto parts = from_statement(words_of(text));
  if (!parts) parts = from_triple(text);
  if (!parts) {
    return invalid(
        "this is no TSIG key; write one with `tsig-keygen NAME`, or as one line NAME:hmac-sha256:SECRET-IN-BASE64");
  }
  for (char& byte : parts->algorithm) byte = byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
  if (digest_of(parts->algorithm) == nullptr) {
    return invalid(
        "the TSIG key's algorithm is not one of hmac-sha256 and hmac-sha512; make a new key with `tsig-keygen`");
  }
  while (!parts->name.empty() && parts->name.back() == '.') parts->name.pop_back();
  if (parts->name.empty() || !check_name(parts->name)) return invalid("the TSIG key's name is not a domain name");
  auto secret = decode_base64(parts->secret);
  if (!secret || secret->size() < secret_min_bytes) {
    return invalid(
        "the TSIG key's secret is not the base64 text of at least 16 bytes; make a new key with `tsig-keygen`");
  }
  return TsigKey{parts->name, parts->algorithm, *std::move(secret)};
}

Result<TsigKey> read_tsig_key(const std::string& path) {
  K4T_ASSIGN(auto text, read_secret_file(path, "key file"));
  auto key = parse_tsig_key(text);
  OPENSSL_cleanse(text.data(), text.size());
  return key ? key : Result<TsigKey>(key.error().within("key file " + path));
}

std::unique_ptr<Authenticator> make_tsig(TsigKey key) {
  const EVP_MD* digest = digest_of(key.algorithm);
  auto made = make_tsig_authenticator(key.name, key.algorithm, std::make_shared<Hmac>(digest, std::move(key.secret)));
  return std::move(made).value();
}

}  // namespace k4t::dnsupdate
