#include "tkey.hpp"

#include <utility>

#include "message.hpp"
#include "wire.hpp"

namespace k4t::dnsupdate {
namespace {

constexpr std::uint16_t type_tkey = 249;
constexpr std::uint16_t mode_gss = 3;
constexpr std::string_view algorithm = "gss-tsig";
constexpr std::uint32_t wanted_lifetime_s = 86400;  // the ticket ends first; the server decides anyway

struct TkeyRecord {
  std::string algorithm;  ///< wire form, lower case
  std::uint16_t mode = 0;
  std::uint16_t error = 0;
  std::string token;
};

Error malformed(const std::string& why) {
  return Error{Status::unavailable, "the DNS server's answer to the key negotiation is malformed", why};
}

/// RFC 2930 §2.6 and RFC 8945 §3.
std::string error_text(std::uint16_t error) {
  switch (error) {
    case 16: return "BADSIG";
    case 17: return "BADKEY";
    case 18: return "BADTIME";
    case 19: return "BADMODE";
    case 20: return "BADNAME";
    case 21: return "BADALG";
    default: return "TKEY error " + std::to_string(error);
  }
}

Error refused(const std::string& code) {
  return Error{Status::unavailable,
               "the DNS server did not accept the Kerberos ticket; check that the option host names this very server, "
               "that its clock is right, and that its machine account is in order",
               code};
}

Result<void> check_rcode(Rcode rcode) {
  switch (rcode) {
    case Rcode::no_error: return {};
    case Rcode::not_implemented:
    case Rcode::format_error:
      return Error{Status::invalid_argument,
                   "the DNS server knows no GSS-TSIG key negotiation (RFC 3645); it is no Active Directory DNS server",
                   rcode_text(rcode)};
    default: return refused(rcode_text(rcode));
  }
}

TkeyRecord parse_rdata(Reader& rdata) {
  TkeyRecord record;
  record.algorithm = rdata.name();
  rdata.u32();  // inception
  rdata.u32();  // expiration
  record.mode = rdata.u16();
  record.error = rdata.u16();
  record.token = rdata.take(rdata.u16());
  return record;
}

/// The TKEY record of the answer section whose owner is the key.
Result<TkeyRecord> find_tkey(std::string_view message, const std::string& key_name) {
  Reader reader(message, header_bytes);
  for (std::size_t i = 0; i < get_u16(message, 4) && reader.ok(); ++i) {
    reader.name();
    reader.take(4);
  }
  for (std::size_t i = 0; i < get_u16(message, 6) && reader.ok(); ++i) {
    const std::string owner = reader.name();
    const auto type = reader.u16();
    reader.take(6);  // class, TTL
    Reader rdata(reader.take(reader.u16()));
    if (type != type_tkey || owner != key_name) continue;
    auto record = parse_rdata(rdata);
    if (!rdata.ok()) return malformed("its TKEY record is cut short");
    return record;
  }
  return malformed("it holds no TKEY record for the key");
}

}  // namespace

Result<std::string> encode_tkey(const TkeyQuery& query) {
  K4T_ASSIGN(const auto name, name_to_wire(query.key_name));
  K4T_ASSIGN(std::string rdata, name_to_wire(algorithm));
  put_u32(rdata, static_cast<std::uint32_t>(query.now_s));
  put_u32(rdata, static_cast<std::uint32_t>(query.now_s + wanted_lifetime_s));
  put_u16(rdata, mode_gss);
  put_u16(rdata, 0);
  put_u16(rdata, static_cast<std::uint16_t>(query.token.size()));
  rdata += query.token;
  put_u16(rdata, 0);
  std::string message;
  put_u16(message, query.id);
  for (const std::uint16_t field : {0, 1, 0, 0, 1}) put_u16(message, field);  // flags, one question, one additional
  message += name;
  put_u16(message, type_tkey);
  put_u16(message, class_any);
  message += name;
  put_u16(message, type_tkey);
  put_u16(message, class_any);
  put_u32(message, 0);
  put_u16(message, static_cast<std::uint16_t>(rdata.size()));
  message += rdata;
  if (message.size() <= message_limit_bytes) return message;
  return Error{Status::invalid_argument, "the Kerberos ticket is too large for a DNS message", {}};
}

Result<std::string> decode_tkey(std::string_view answer, const TkeyQuery& query) {
  const Header header = header_of(answer);
  if (!header.answer || header.id != query.id || header.opcode != opcode_query) return malformed("another message");
  K4T_TRY(check_rcode(static_cast<Rcode>(header.rcode)));
  K4T_ASSIGN(const auto key_name, name_to_wire(query.key_name));
  K4T_ASSIGN(const auto wanted_algorithm, name_to_wire(algorithm));
  K4T_ASSIGN(auto record, find_tkey(answer, key_name));
  if (record.error != 0) return refused(error_text(record.error));
  if (record.mode != mode_gss || record.algorithm != wanted_algorithm) return malformed("another mode or algorithm");
  return std::move(record.token);
}

}  // namespace k4t::dnsupdate
