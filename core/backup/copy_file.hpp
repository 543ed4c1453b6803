#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "k4t/json.hpp"
#include "k4t/result.hpp"

/// A metadata copy as a file: one line that says what it is, one with its header, and the content, compressed (zstd),
/// encrypted and authenticated together with both lines (AES-256-GCM, NIST SP 800-38D). Each copy is encrypted with a
/// key of its own, derived from the cluster's and a random salt (HKDF-SHA256, RFC 5869; scrypt, RFC 7914, from a
/// passphrase).

namespace k4t::backup {

/// What a copy tells without its key; only with the key it is known to be true.
struct Header {
  std::string cluster;         ///< its name
  std::string cluster_id;      ///< drawn when the cluster was made, so that a name can be used again
  std::int64_t made_at_s = 0;  ///< Unix time
  std::uint64_t version = 0;   ///< of the last decided state, and its txn; 0: none yet
  std::string txn;
  std::uint64_t counter = 0;  ///< the highest epoch that the master had used
  std::string digest;         ///< SHA-256 of the metadata
  std::uint64_t bytes = 0;    ///< of the content before it was compressed
  std::string derivation;     ///< "hkdf-sha256" or "scrypt"; empty: it is not encrypted
  std::string salt;           ///< hex digits
  friend bool operator==(const Header&, const Header&) = default;
};
K4T_JSON_DECLARE(Header)

struct Copy {
  Header header;
  std::map<std::string, std::string> files;  ///< beside the metadata: k4t.toml, and by their paths what it names
  std::string metadata;                      ///< an SQLite file
};

/// What copies are encrypted with. Wiped when it goes.
class Key {
 public:
  /// New and random.
  static Key draw();
  /// A file that has what text() gave. INVALID_ARGUMENT: see read_secret_file; or it is no key.
  static Result<Key> read(const std::string& file);
  /// A file whose first line is a passphrase.
  static Result<Key> read_passphrase(const std::string& file);

  Key(const Key&) = default;
  Key& operator=(const Key&) = default;
  Key(Key&&) = default;
  Key& operator=(Key&&) = default;
  ~Key();

  /// One line to keep in a file. REQUIRES: it is no passphrase.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] const char* derivation() const { return is_passphrase_ ? "scrypt" : "hkdf-sha256"; }
  /// 32 bytes for one copy.
  [[nodiscard]] Result<std::string> derive(const std::string& salt) const;

 private:
  Key(std::string secret, bool is_passphrase) : secret_(std::move(secret)), is_passphrase_(is_passphrase) {}
  std::string secret_;
  bool is_passphrase_;
};

/// The file of a copy, whose header's digest, sizes, derivation and salt are set here. `key` nullptr: not encrypted,
/// and whoever can write there can forge it.
Result<std::string> seal(Copy& copy, const Key* key);

/// The header alone, not yet known to be true. INVALID_ARGUMENT: this is no metadata copy. UNSUPPORTED: of another
/// version.
Result<Header> read_header(std::string_view file);

/// INVALID_ARGUMENT: no copy, cut short, damaged or forged, or encrypted with another key; and what to do.
Result<Copy> unseal(std::string_view file, const Key* key);

}  // namespace k4t::backup
