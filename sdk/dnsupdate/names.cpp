#include "names.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include "k4t/dnsupdate.hpp"
#include "wire.hpp"

// Last, because it redefines `true` and `false` for whatever follows.
#include <ldns/ldns.h>

namespace k4t::dnsupdate {
namespace {

constexpr std::size_t text_limit_bytes = 255;
constexpr std::size_t label_limit_bytes = 63;
constexpr std::size_t name_text_limit_bytes = 253;

struct FreeText {
  void operator()(char* text) const { LDNS_FREE(text); }
};
using Text = std::unique_ptr<char, FreeText>;

struct FreeField {
  void operator()(ldns_rdf* field) const { ldns_rdf_deep_free(field); }
};
using Field = std::unique_ptr<ldns_rdf, FreeField>;

Error invalid(std::string_view value, std::string_view reason) {
  return Error{Status::invalid_argument, "'" + std::string(value) + "' " + std::string(reason), {}};
}

/// Names of plain bytes are the same in text and on the wire but for what stands between labels. Nearly all names are;
/// ldns has the others, which need escapes.
bool is_plain(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

/// Absent: not plain, or no name.
std::optional<std::string> plain_to_wire(std::string_view name) {
  if (name.empty() || name.size() > name_text_limit_bytes) return std::nullopt;
  std::string wire;
  wire.reserve(name.size() + 2);
  for (std::string_view rest = name;;) {
    const auto dot = rest.find('.');
    const auto label = rest.substr(0, dot);
    const bool fits = !label.empty() && label.size() <= label_limit_bytes;
    if (!fits || !std::ranges::all_of(label, is_plain)) return std::nullopt;
    wire += static_cast<char>(label.size());
    wire += label;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  return wire += '\0';
}

/// Absent: not plain, or the root.
std::optional<std::string> plain_text(std::string_view wire) {
  std::string text;
  text.reserve(wire.size());
  for (std::size_t length = 0; !wire.empty() && (length = static_cast<std::uint8_t>(wire[0])) > 0;) {
    const auto label = wire.substr(1, length);
    if (label.size() != length || !std::ranges::all_of(label, is_plain)) return std::nullopt;
    if (!text.empty()) text += '.';
    text += label;
    wire.remove_prefix(1 + length);
  }
  if (text.empty()) return std::nullopt;
  return text;
}

Result<Field> make_dname(std::string_view name) {
  if (name.empty()) return Field(ldns_dname_new_frm_str("."));
  if (name.front() == '.' || name.back() == '.' || name.find('\0') != std::string_view::npos) {
    return invalid(name, "is not a domain name without final dot");
  }
  Field field(ldns_dname_new_frm_str(std::string(name).c_str()));
  if (!field) return invalid(name, "is not a domain name: labels have 1 to 63 bytes, names at most 255");
  ldns_dname2canonical(field.get());
  return field;
}

/// Canonical text only, so that one address has one text.
Result<std::string> address_bytes(int family, std::string_view value) {
  const std::string text(value);
  std::array<char, sizeof(in6_addr)> bytes{};
  std::array<char, INET6_ADDRSTRLEN> canonical{};
  if (text.find('\0') != std::string::npos || ::inet_pton(family, text.c_str(), bytes.data()) != 1) {
    return invalid(value, family == AF_INET ? "is not an IPv4 address" : "is not an IPv6 address");
  }
  ::inet_ntop(family, bytes.data(), canonical.data(), canonical.size());
  if (text != canonical.data()) return invalid(value, "is to be written as '" + std::string(canonical.data()) + "'");
  return std::string(bytes.data(), family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr));
}

/// "priority weight port target", one space between each two.
Result<std::string> srv_bytes(std::string_view value) {
  const Error malformed = invalid(value, "is not 'priority weight port target'");
  std::string bytes;
  std::string_view rest = value;
  for (int i = 0; i < 3; ++i) {
    const auto space = rest.find(' ');
    if (space == std::string_view::npos) return malformed;
    const auto word = rest.substr(0, space);
    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size() || (word.size() > 1 && word[0] == '0')) {
      return malformed;
    }
    put_u16(bytes, number);
    rest.remove_prefix(space + 1);
  }
  K4T_ASSIGN(const std::string target, name_to_wire(rest));
  return bytes + target;
}

Result<std::string> txt_bytes(std::string_view value) {
  if (value.size() > text_limit_bytes) {
    return Error{Status::invalid_argument,
                 "a TXT value has " + std::to_string(value.size()) + " bytes; at most 255 are possible",
                 {}};
  }
  return std::string(1, static_cast<char>(value.size())) + std::string(value);
}

}  // namespace

Result<std::string> name_to_wire(std::string_view name) {
  if (auto plain = plain_to_wire(name)) return *std::move(plain);
  K4T_ASSIGN(const Field field, make_dname(name));
  return std::string(reinterpret_cast<const char*>(ldns_rdf_data(field.get())), ldns_rdf_size(field.get()));
}

std::string name_text(std::string_view wire) {
  if (auto plain = plain_text(wire)) return *std::move(plain);
  const Field field(ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, wire.size(), wire.data()));
  const Text text(ldns_rdf2str(field.get()));
  std::string result = text ? text.get() : "";
  if (!result.empty()) result.pop_back();
  return result;
}

Result<void> check_name(std::string_view name) {
  K4T_ASSIGN([[maybe_unused]] const std::string wire, name_to_wire(name));
  return {};
}

Result<std::string> make_rdata(std::uint16_t type, std::string_view value) {
  switch (type) {
    case type::a: return address_bytes(AF_INET, value);
    case type::aaaa: return address_bytes(AF_INET6, value);
    case type::srv: return srv_bytes(value);
    case type::txt: return txt_bytes(value);
    case type::cname:
    case type::ns: return name_to_wire(value);
    default: return Error{Status::invalid_argument, "no values of type " + type_text(type) + " can be made", {}};
  }
}

std::optional<std::string> single_text(std::string_view txt_rdata) {
  if (txt_rdata.empty() || static_cast<std::uint8_t>(txt_rdata[0]) + 1U != txt_rdata.size()) return std::nullopt;
  return std::string(txt_rdata.substr(1));
}

std::optional<std::string> target_name(std::uint16_t type, std::string_view rdata) {
  const bool known =
      type == type::cname || type == type::ns || type == type::dname || type == type::srv || type == type::soa;
  if (!known) return std::nullopt;
  Reader reader(rdata, type == type::srv ? 6 : 0);
  const std::string wire = reader.name();
  if (!reader.ok()) return std::nullopt;
  return name_text(wire);
}

std::string type_text(std::uint16_t type) {
  const Text text(ldns_rr_type2str(static_cast<ldns_rr_type>(type)));
  return text ? text.get() : std::to_string(type);
}

std::string rdata_text(std::uint16_t type, std::string_view rdata) {
  std::array<char, INET6_ADDRSTRLEN> address{};
  const int family = type == type::a ? AF_INET : AF_INET6;
  const std::size_t address_size = family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
  if ((type == type::a || type == type::aaaa) && rdata.size() == address_size) {
    return ::inet_ntop(family, rdata.data(), address.data(), address.size());
  }
  if (const auto text = type == type::txt ? single_text(rdata) : std::nullopt) return "\"" + *text + "\"";
  const auto target = target_name(type, rdata);
  if (type == type::srv && target) {
    Reader reader(rdata);
    std::string text;
    for (int i = 0; i < 3; ++i) text += std::to_string(reader.u16()) + ' ';
    return text + *target;
  }
  if (target && type != type::soa) return *target;
  return "(" + std::to_string(rdata.size()) + " bytes)";
}

}  // namespace k4t::dnsupdate
