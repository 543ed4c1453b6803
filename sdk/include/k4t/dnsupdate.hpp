#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/result.hpp"

/// A client of authoritative DNS servers, over TCP only: queries, zone transfers (RFC 5936) and dynamic updates with
/// prerequisites (RFC 2136), authenticated by a pluggable Authenticator.
///
/// Names are text in lower case without the final dot; the root is "". Bytes that are not letters, digits, '-' or '_'
/// are escaped as in zone files. Record data are *wire bytes* (`rdata`), so that comparing them is exact; domain names
/// within them are in lower case and uncompressed. Nothing here ever passes text through a zone file parser.

namespace k4t::dnsupdate {

/// Numbers of record types (IANA); any other number works too.
namespace type {
inline constexpr std::uint16_t a = 1;
inline constexpr std::uint16_t ns = 2;
inline constexpr std::uint16_t cname = 5;
inline constexpr std::uint16_t soa = 6;
inline constexpr std::uint16_t txt = 16;
inline constexpr std::uint16_t aaaa = 28;
inline constexpr std::uint16_t srv = 33;
inline constexpr std::uint16_t dname = 39;
inline constexpr std::uint16_t ds = 43;
inline constexpr std::uint16_t any = 255;
}  // namespace type

struct Record {
  std::string name;
  std::uint16_t type = 0;
  std::uint32_t ttl_s = 0;
  std::string rdata;
  auto operator<=>(const Record&) const = default;
};

/// INVALID_ARGUMENT unless `name` is one that a server can hold: labels of 1–63 bytes, at most 255 bytes on the wire.
Result<void> check_name(std::string_view name);

/// The wire form of one value: A and AAAA an address in canonical text (RFC 5952), SRV "priority weight port target",
/// TXT the bytes of its one string (at most 255), CNAME and NS a name. Other types and malformed values are
/// INVALID_ARGUMENT with the reason.
Result<std::string> make_rdata(std::uint16_t type, std::string_view value);

/// The bytes of a TXT record that has exactly one string; absent: it has none or several.
std::optional<std::string> single_text(std::string_view txt_rdata);

/// The domain name at the end of a CNAME, NS, DNAME or SRV record's data, or at the beginning of a SOA's; absent: other
/// types or malformed.
std::optional<std::string> target_name(std::uint16_t type, std::string_view rdata);

/// For messages only: "A", "TXT", …, "TYPE1234".
std::string type_text(std::uint16_t type);
/// For messages only: the record's data as a zone file shows them.
std::string rdata_text(std::uint16_t type, std::string_view rdata);

/// What must hold for an update to be done (RFC 2136 §2.4).
struct Prerequisite {
  enum class Kind { rrset_exists, rrset_equals, rrset_absent, name_in_use, name_not_in_use };
  Kind kind = Kind::rrset_exists;
  std::string name;
  std::uint16_t type = type::any;   ///< the three kinds about an RRset
  std::vector<std::string> rdatas;  ///< rrset_equals: exactly these, in any order; TTLs do not count
};

/// One change (RFC 2136 §2.5). Changes of one update are done in order.
struct Change {
  enum class Kind { add, delete_rrset, delete_name, delete_value };
  Kind kind = Kind::add;
  std::string name;
  std::uint16_t type = type::any;
  std::uint32_t ttl_s = 0;  ///< add
  std::string rdata;        ///< add, delete_value
};

/// Done as a whole or not at all.
struct Update {
  std::string zone;
  std::vector<Prerequisite> prerequisites;
  std::vector<Change> changes;
};

/// Upper bounds of what the parts need on the wire: names uncompressed. One message may have 65,535 bytes.
std::size_t wire_bytes(const Prerequisite& prerequisite);
std::size_t wire_bytes(const Change& change);
/// An upper bound of header, zone and signature.
std::size_t envelope_bytes(std::string_view zone);

struct Question {
  std::string name;
  std::uint16_t type = type::any;
};

/// What an authoritative server knows of a name and type. Only NOERROR and NXDOMAIN make an Answer.
struct Answer {
  bool authoritative = false;     ///< the AA bit; without it nothing is known about absence
  bool name_exists = true;        ///< false: NXDOMAIN
  std::vector<Record> records;    ///< the answer section: may hold a CNAME instead of what was asked for
  std::vector<Record> authority;  ///< the authority section: the SOA of a negative answer, the NS of a referral
};

/// How long a call may take.
struct Limits {
  std::chrono::steady_clock::time_point until;  ///< passed: DEADLINE
  std::function<bool()> cancelled;              ///< polled while waiting; true: DEADLINE
};

/// Verifies the messages that answer one request, in order.
class Verifier {
 public:
  virtual ~Verifier() = default;
  /// UNAVAILABLE: unsigned or wrongly signed, to be treated as no answer. INVALID_ARGUMENT: the server refuses our
  /// signature, with the remedy. CONFLICT: an unsigned answer that a prerequisite of an update does not hold.
  virtual Result<void> verify(std::string_view message, std::uint64_t now_s) = 0;
  /// After the last message: UNAVAILABLE when that one was not signed.
  virtual Result<void> finish() = 0;
  /// After verify() failed: the server does not know our key any more and has done nothing. A new connection
  /// negotiates another one, so the request may be sent again.
  [[nodiscard]] virtual bool key_forgotten() const { return false; }
};

/// Authenticates messages, both ways. Not thread-safe; owned by one Client.
class Authenticator {
 public:
  /// Sends one unsigned message and returns its answer; for authenticators that negotiate.
  using Ask = std::function<Result<std::string>(std::string message)>;

  virtual ~Authenticator() = default;
  /// Called on every new connection before its first message.
  virtual Result<void> negotiate(const Ask& /*ask*/, const Limits& /*limits*/) { return {}; }
  /// True: what was negotiated is over, or nearly; the next message needs a new connection.
  [[nodiscard]] virtual bool expired(std::uint64_t /*now_s*/) const { return false; }
  /// What an administrator does so that the server lets us update, as it ends a message.
  [[nodiscard]] virtual std::string how_to_grant() const {
    return "grant the configured key with update-policy or allow-update";
  }
  /// Appends the signature to an encoded message. `now_s`: seconds since 1970.
  virtual Result<std::unique_ptr<Verifier>> sign(std::string& message, std::uint64_t now_s) = 0;
};

/// A shared secret (RFC 8945).
struct TsigKey {
  std::string name;
  std::string algorithm;  ///< "hmac-sha256" or "hmac-sha512"
  std::string secret;     ///< bytes; never to be logged
};

/// Reads `key "NAME" { algorithm ALGORITHM; secret "BASE64"; };` as BIND's tools write it, or "NAME:ALGORITHM:BASE64".
/// INVALID_ARGUMENT with the remedy; messages never quote the text.
Result<TsigKey> parse_tsig_key(std::string_view text);

/// parse_tsig_key of a file. A file that is missing, or that other users of the machine may read or write, is
/// INVALID_ARGUMENT.
Result<TsigKey> read_tsig_key(const std::string& path);

std::unique_ptr<Authenticator> make_tsig(TsigKey key);

/// Where a server answers.
struct Endpoint {
  std::string address;  ///< IPv4 or IPv6 in text, no host name
  std::uint16_t port = 53;
  std::chrono::milliseconds timeout = std::chrono::seconds(5);  ///< for connecting, and for each message of an answer
  /// Questions on their way at a time; above 1 for servers that read on while they answer (RFC 7766 §6.2.1.1).
  /// REQUIRES: 1 to 100, so that those on their way fit into the socket's buffer.
  std::size_t ahead_limit = 1;
};

/// One server, over one kept connection that is made when first needed. Not thread-safe.
///
/// Errors of all calls: UNAVAILABLE no (credible) answer, so nothing is known; DEADLINE likewise; INVALID_ARGUMENT the
/// server will not do this for us, with the remedy. An update that ended UNAVAILABLE or DEADLINE may have been done:
/// read again before deciding. Updates are sent a second time only where the server had forgotten a negotiated key.
class Client {
 public:
  /// `authenticator` may be nullptr: messages are then neither signed nor verified.
  Client(Endpoint endpoint, std::unique_ptr<Authenticator> authenticator);
  ~Client();
  Client(Client&& other) noexcept;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// CONFLICT: a prerequisite does not hold, nothing was changed; with a negotiated key read again all the same, since
  /// Samba does not sign this answer. INVALID_ARGUMENT: nothing was changed either.
  Result<void> update(const Update& update, const Limits& limits);

  Result<Answer> query(const Question& question, const Limits& limits);
  /// The same of many, see Endpoint::ahead_limit: as many answers, in the order of the questions.
  Result<std::vector<Answer>> query(std::span<const Question> questions, const Limits& limits);

  /// Reads the whole zone, a consistent snapshot. `visit` gets every record once, the SOA first. UNSUPPORTED: the
  /// server does not let us (REFUSED or NOTAUTH). An error after some visits makes these worthless.
  Result<void> transfer(std::string_view zone, const std::function<void(Record)>& visit, const Limits& limits);

  /// "ADDRESS:PORT", for messages.
  [[nodiscard]] std::string where() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace k4t::dnsupdate
