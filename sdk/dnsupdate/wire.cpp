#include "wire.hpp"

namespace k4t::dnsupdate {
namespace {

constexpr std::size_t name_limit_bytes = 255;

char lower(char byte) { return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte; }

std::uint8_t byte_at(std::string_view bytes, std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); }

void skip_records(Reader& reader, std::size_t count) {
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    reader.name();
    reader.take(8);  // type, class, TTL
    reader.take(reader.u16());
  }
}

}  // namespace

void put_u16(std::string& to, std::uint16_t value) {
  to += static_cast<char>(value >> 8);
  to += static_cast<char>(value & 0xff);
}

void put_u32(std::string& to, std::uint32_t value) {
  put_u16(to, static_cast<std::uint16_t>(value >> 16));
  put_u16(to, static_cast<std::uint16_t>(value & 0xffff));
}

void put_u48(std::string& to, std::uint64_t value) {
  put_u16(to, static_cast<std::uint16_t>(value >> 32));
  put_u32(to, static_cast<std::uint32_t>(value & 0xffffffff));
}

void set_u16(std::string& to, std::size_t at, std::uint16_t value) {
  to[at] = static_cast<char>(value >> 8);
  to[at + 1] = static_cast<char>(value & 0xff);
}

std::uint16_t get_u16(std::string_view from, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(from, at) << 8 | byte_at(from, at + 1));
}

std::uint64_t Reader::number(std::size_t count_bytes) {
  std::uint64_t value = 0;
  for (const char byte : take(count_bytes)) value = value << 8 | static_cast<std::uint8_t>(byte);
  return value;
}

std::uint16_t Reader::u16() { return static_cast<std::uint16_t>(number(2)); }
std::uint32_t Reader::u32() { return static_cast<std::uint32_t>(number(4)); }
std::uint64_t Reader::u48() { return number(6); }

std::string_view Reader::take(std::size_t count_bytes) {
  if (!ok_ || bytes_.size() < at_ || bytes_.size() - at_ < count_bytes) {
    ok_ = false;
    return {};
  }
  const auto taken = bytes_.substr(at_, count_bytes);
  at_ += count_bytes;
  return taken;
}

std::string Reader::name() {
  std::string name;
  std::size_t at = at_;
  bool jumped = false;
  while (ok_ && at < bytes_.size()) {
    const std::size_t length = byte_at(bytes_, at);
    if ((length & 0xc0) == 0xc0) {
      if (at + 2 > bytes_.size()) break;
      const std::size_t to = get_u16(bytes_, at) & 0x3fff;
      if (!jumped) at_ = at + 2;
      jumped = true;
      // Pointers lead backwards only, and labels between them add up to the name's limit: every chain ends.
      if (to >= at) break;
      at = to;
      continue;
    }
    if (length > 63 || name.size() + length + 1 > name_limit_bytes || at + 1 + length > bytes_.size()) break;
    name += static_cast<char>(length);
    for (const char byte : bytes_.substr(at + 1, length)) name += lower(byte);
    at += 1 + length;
    if (length > 0) continue;
    if (!jumped) at_ = at;
    return name;
  }
  ok_ = false;
  return {};
}

Result<std::optional<TsigRecord>> find_tsig(std::string_view message) {
  const Error malformed{Status::unavailable, "the DNS server sent a malformed message", {}};
  if (message.size() < header_bytes) return malformed;
  const std::size_t additional = get_u16(message, 10);
  if (additional == 0) return std::optional<TsigRecord>();
  Reader reader(message, header_bytes);
  for (std::size_t i = 0; i < get_u16(message, 4) && reader.ok(); ++i) {
    reader.name();
    reader.take(4);
  }
  skip_records(reader, std::size_t{get_u16(message, 6)} + get_u16(message, 8) + additional - 1);
  TsigRecord found;
  found.begin = reader.at();
  found.key_name = reader.name();
  const bool is_tsig = reader.u16() == type_tsig && reader.u16() == class_any;
  // No signature covers these four bytes; RFC 8945 §4.2 wants zero.
  const bool ttl_is_zero = reader.u32() == 0;
  Reader rdata(reader.take(reader.u16()));
  if (!reader.ok() || reader.at() != message.size()) return malformed;
  if (!is_tsig) return std::optional<TsigRecord>();
  found.algorithm = rdata.name();
  found.time_s = rdata.u48();
  found.fudge_s = rdata.u16();
  found.mac = rdata.take(rdata.u16());
  found.original_id = rdata.u16();
  found.error = rdata.u16();
  found.other = rdata.take(rdata.u16());
  if (!rdata.ok() || !ttl_is_zero) return malformed;
  return std::optional(std::move(found));
}

}  // namespace k4t::dnsupdate
