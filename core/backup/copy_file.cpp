#include "backup/copy_file.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <zstd.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "k4t/digest.hpp"
#include "k4t/secret_file.hpp"

namespace k4t::backup {

K4T_JSON_DEFINE(Header, cluster, cluster_id, made_at_s, version, txn, counter, digest, bytes, derivation, salt)

namespace {

constexpr std::string_view magic = "k4t metadata copy ";
constexpr int format = 2;
constexpr std::size_t key_bytes = 32;
constexpr std::size_t salt_bytes = 32;
constexpr std::size_t tag_bytes = 16;
constexpr std::string_view key_prefix = "k4t-backup-key-1 ";
constexpr std::uint64_t most_bytes = std::uint64_t{4} << 30;
constexpr std::size_t header_limit_bytes = 64u << 10;
constexpr std::size_t piece_bytes = 16u << 20;  ///< OpenSSL counts in int

Error invalid(std::string message) { return Error{Status::invalid_argument, std::move(message), {}}; }

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  // Nothing must be encrypted with what is not random.
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1) {
    throw std::runtime_error("OpenSSL has no random numbers");
  }
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    text += digits[value >> 4U];
    text += digits[value & 15U];
  }
  return text;
}

Result<std::string> from_hex(std::string_view text) {
  const auto value = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    if (value(text[i]) < 0 || value(text[i + 1]) < 0) break;
    bytes += static_cast<char>(value(text[i]) * 16 + value(text[i + 1]));
  }
  if (bytes.size() * 2 != text.size()) return invalid("these are no hex digits");
  return bytes;
}

const unsigned char* unsigned_of(const char* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }
unsigned char* unsigned_of(char* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

struct CipherDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, CipherDeleter>;

/// Each key is used for one message, so that the nonce can be the same for all.
constexpr std::string_view nonce{"k4t-copy-one", 12};

/// Encrypts or decrypts; `known` is authenticated with it.
class Gcm {
 public:
  Gcm(const std::string& key, std::string_view known, bool encrypts) : cipher_(EVP_CIPHER_CTX_new()) {
    check(EVP_CipherInit_ex2(cipher_.get(), EVP_aes_256_gcm(), unsigned_of(key.data()), unsigned_of(nonce.data()),
                             encrypts ? 1 : 0, nullptr));
    int done = 0;
    check(EVP_CipherUpdate(cipher_.get(), nullptr, &done, unsigned_of(known.data()), static_cast<int>(known.size())));
  }

  std::string update(std::string_view bytes) {
    std::string out(bytes.size(), '\0');
    for (std::size_t at = 0; at < bytes.size(); at += piece_bytes) {
      const auto piece = bytes.substr(at, piece_bytes);
      int done = 0;
      check(EVP_CipherUpdate(cipher_.get(), unsigned_of(out.data() + at), &done, unsigned_of(piece.data()),
                             static_cast<int>(piece.size())));
    }
    return out;
  }

  std::string tag() {
    int done = 0;
    check(EVP_CipherFinal_ex(cipher_.get(), nullptr, &done));
    std::string bytes(tag_bytes, '\0');
    check(EVP_CIPHER_CTX_ctrl(cipher_.get(), EVP_CTRL_GCM_GET_TAG, tag_bytes, bytes.data()));
    return bytes;
  }

  bool is_authentic(std::string_view tag) {
    std::string bytes(tag);
    check(EVP_CIPHER_CTX_ctrl(cipher_.get(), EVP_CTRL_GCM_SET_TAG, tag_bytes, bytes.data()));
    int done = 0;
    return EVP_CipherFinal_ex(cipher_.get(), nullptr, &done) == 1;
  }

 private:
  static void check(int code) {
    if (code != 1) throw std::runtime_error("OpenSSL's AES-256-GCM failed");
  }
  Cipher cipher_;
};

std::string compress(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size) != 0) throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

Result<std::string> decompress(std::string_view bytes, std::uint64_t expected) {
  if (expected > most_bytes) return invalid("this copy says that it is larger than any copy can be");
  std::string out(expected, '\0');
  const std::size_t size = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(size) != 0 || size != expected) return invalid("this copy is damaged: use another one");
  return out;
}

/// The length of a list of the files' sizes by name, the list, the files one after the other, and the metadata.
std::string pack(const Copy& copy) {
  std::map<std::string, std::uint64_t> sizes;
  std::string bytes;
  for (const auto& [name, text] : copy.files) {
    sizes[name] = text.size();
    bytes += text;
  }
  const std::string list = Json(sizes).dump();
  return std::to_string(list.size()) + "\n" + list + bytes + copy.metadata;
}

Result<void> unpack(std::string_view content, Copy& copy) {
  const auto damaged = [] { return invalid("this copy's content is not understood"); };
  const auto line = content.find('\n');
  if (line == std::string_view::npos || line > 12 || line == 0 ||
      content.substr(0, line).find_first_not_of("0123456789") != std::string_view::npos) {
    return damaged();
  }
  const auto size = std::stoull(std::string(content.substr(0, line)));
  if (size > content.size() - line - 1) return damaged();
  const Json list = Json::parse(content.substr(line + 1, size), nullptr, /*allow_exceptions=*/false);
  if (list.is_discarded()) return damaged();
  K4T_ASSIGN(const auto sizes, (decode<std::map<std::string, std::uint64_t>>(list)));
  content.remove_prefix(line + 1 + size);
  for (const auto& [name, bytes] : sizes) {
    if (bytes > content.size()) return damaged();
    copy.files[name] = content.substr(0, bytes);
    content.remove_prefix(bytes);
  }
  copy.metadata = content;
  return {};
}

/// The two lines in front, with what ends them, and the rest.
struct Parts {
  std::string_view lines;
  std::string_view body;
  Header header;
};

Result<Parts> split(std::string_view file) {
  if (!file.starts_with(magic)) return invalid("this is no metadata copy");
  const auto first = file.find('\n');
  const auto second =
      first == std::string_view::npos ? first : file.substr(0, header_limit_bytes).find('\n', first + 1);
  if (second == std::string_view::npos) return invalid("this copy is cut short: use another one");
  if (file.substr(magic.size(), first - magic.size()) != std::to_string(format)) {
    return Error{Status::unsupported, "this copy was made by another version of k4t: use that one", {}};
  }
  const Json json = Json::parse(file.substr(first + 1, second - first - 1), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return invalid("this copy's header is damaged: use another one");
  K4T_ASSIGN(auto header, decode<Header>(json));
  return Parts{file.substr(0, second + 1), file.substr(second + 1), std::move(header)};
}

Result<std::string> decrypt(const Parts& parts, const Key* key) {
  if (parts.header.derivation.empty()) return std::string(parts.body);
  if (key == nullptr) return invalid("this copy is encrypted: it needs the cluster's backup key");
  if (parts.header.derivation != key->derivation()) {
    return invalid(parts.header.derivation == std::string("scrypt") ? "this copy needs a passphrase, not a key file"
                                                                    : "this copy needs a key file, not a passphrase");
  }
  if (parts.body.size() < tag_bytes) return invalid("this copy is cut short: use another one");
  K4T_ASSIGN(const auto salt, from_hex(parts.header.salt));
  K4T_ASSIGN(const auto copy_key, key->derive(salt));
  Gcm gcm(copy_key, parts.lines, /*encrypts=*/false);
  auto plain = gcm.update(parts.body.substr(0, parts.body.size() - tag_bytes));
  if (!gcm.is_authentic(parts.body.substr(parts.body.size() - tag_bytes))) {
    return invalid(
        "this copy is not what was made with this key: it is damaged, forged or cut short, or the key is "
        "another cluster's");
  }
  return plain;
}

}  // namespace

Key Key::draw() { return {random_bytes(key_bytes), false}; }

Result<Key> Key::read(const std::string& file) {
  K4T_ASSIGN(auto text, read_secret_file(file, "backup key", Readers::nobody));
  const auto end = text.find_last_not_of(" \r\n");
  std::string_view line(text.data(), end == std::string::npos ? 0 : end + 1);
  if (line.starts_with(key_prefix)) {
    auto secret = from_hex(line.substr(key_prefix.size()));
    OPENSSL_cleanse(text.data(), text.size());
    if (secret && secret->size() == key_bytes) return Key(*std::move(secret), false);
  }
  return invalid(file + " is no backup key: `k4t init` makes one");
}

Result<Key> Key::read_passphrase(const std::string& file) {
  K4T_ASSIGN(auto text, read_secret_file(file, "passphrase file", Readers::nobody));
  constexpr std::size_t least = 12;
  std::string line = text.substr(0, text.find_first_of("\r\n"));
  OPENSSL_cleanse(text.data(), text.size());
  if (line.size() < least) return invalid(file + ": a passphrase needs at least 12 characters on the first line");
  return Key(std::move(line), true);
}

Key::~Key() { OPENSSL_cleanse(secret_.data(), secret_.size()); }

std::string Key::text() const { return std::string(key_prefix) + to_hex(secret_) + "\n"; }

Result<std::string> Key::derive(const std::string& salt) const {
  const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf(
      EVP_KDF_fetch(nullptr, is_passphrase_ ? "SCRYPT" : "HKDF", nullptr), EVP_KDF_free);
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(EVP_KDF_CTX_new(kdf.get()), EVP_KDF_CTX_free);
  const auto octets = [](const char* name, const std::string& bytes) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(bytes.data()), bytes.size());
  };
  std::string info = "k4t metadata copy";
  std::string digest = "SHA256";
  std::uint64_t cost = 1U << 15U;
  std::uint32_t block = 8;
  std::uint32_t lanes = 1;
  std::vector<OSSL_PARAM> parameters{octets(OSSL_KDF_PARAM_SALT, salt)};
  if (is_passphrase_) {
    parameters.push_back(octets(OSSL_KDF_PARAM_PASSWORD, secret_));
    parameters.push_back(OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &cost));
    parameters.push_back(OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &block));
    parameters.push_back(OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &lanes));
  } else {
    parameters.push_back(octets(OSSL_KDF_PARAM_KEY, secret_));
    parameters.push_back(octets(OSSL_KDF_PARAM_INFO, info));
    parameters.push_back(OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0));
  }
  parameters.push_back(OSSL_PARAM_construct_end());
  std::string out(key_bytes, '\0');
  if (kdf == nullptr || context == nullptr ||
      EVP_KDF_derive(context.get(), unsigned_of(out.data()), out.size(), parameters.data()) != 1) {
    return Error{Status::fatal, "OpenSSL derives no key from the backup key", {}};
  }
  return out;
}

Result<std::string> seal(Copy& copy, const Key* key) {
  std::string content = pack(copy);
  if (content.size() > most_bytes) return Error{Status::unsupported, "the metadata is too large for a copy", {}};
  copy.header.digest = sha256_hex(copy.metadata);
  copy.header.bytes = content.size();
  const std::string salt = key == nullptr ? std::string() : random_bytes(salt_bytes);
  copy.header.salt = to_hex(salt);
  copy.header.derivation = key == nullptr ? "" : key->derivation();
  std::string file = std::string(magic) + std::to_string(format) + "\n" + Json(copy.header).dump() + "\n";
  const std::string packed = compress(content);
  if (key == nullptr) return file + packed;
  K4T_ASSIGN(const auto copy_key, key->derive(salt));
  Gcm gcm(copy_key, file, /*encrypts=*/true);
  const auto hidden = gcm.update(packed);
  return file + hidden + gcm.tag();
}

Result<Header> read_header(std::string_view file) {
  K4T_ASSIGN(auto parts, split(file));
  return std::move(parts.header);
}

Result<Copy> unseal(std::string_view file, const Key* key) {
  K4T_ASSIGN(const auto parts, split(file));
  K4T_ASSIGN(const auto packed, decrypt(parts, key));
  K4T_ASSIGN(const auto content, decompress(packed, parts.header.bytes));
  Copy copy;
  copy.header = parts.header;
  K4T_TRY(unpack(content, copy));
  if (sha256_hex(copy.metadata) == copy.header.digest) return copy;
  return invalid("this copy is damaged: its content is not what its header says; use another one");
}

}  // namespace k4t::backup
