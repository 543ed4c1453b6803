#include "model/subnet.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace k4t::model {
namespace {

constexpr unsigned ipv4_bytes = 4;
constexpr unsigned ipv6_bytes = 16;
constexpr std::uint64_t first_number = 2;
constexpr unsigned counted_bits = 62;  ///< more cannot be counted, nor used

Error refused(const char* clause) { return Error{Status::invalid_argument, clause, {}}; }

/// How many bytes the address has; 0: it is none.
unsigned read_address(const std::string& text, std::array<std::uint8_t, 16>& bytes) {
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return ipv4_bytes;
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return ipv6_bytes;
  return 0;
}

std::string write_address(const std::array<std::uint8_t, 16>& bytes, unsigned length) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(length == ipv4_bytes ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

bool same_bits(const std::array<std::uint8_t, 16>& a, const std::array<std::uint8_t, 16>& b, unsigned bits) {
  const unsigned whole = bits / 8;
  if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
  return bits % 8 == 0 || (a.at(whole) ^ b.at(whole)) >> (8 - bits % 8) == 0;
}

}  // namespace

bool is_address(const std::string& text) {
  std::array<std::uint8_t, 16> bytes{};
  const unsigned length = read_address(text, bytes);
  return length != 0 && write_address(bytes, length) == text;
}

Result<Subnet> Subnet::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || text.find('\0') != std::string_view::npos) {
    return refused("not an address block such as \"2001:db8:1::/64\"");
  }
  Subnet subnet;
  subnet.length_ = read_address(std::string(text.substr(0, slash)), subnet.first_);
  const std::string_view bits = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), subnet.prefix_);
  if (subnet.length_ == 0 || error != std::errc() || end != bits.data() + bits.size() ||
      subnet.prefix_ > subnet.length_ * 8) {
    return refused("not an address block such as \"2001:db8:1::/64\"");
  }
  const bool ipv4 = subnet.length_ == ipv4_bytes;
  if (ipv4 && (subnet.prefix_ < 8 || subnet.prefix_ > 29)) return refused("an IPv4 block must be from /8 to /29");
  if (!ipv4 && (subnet.prefix_ < 32 || subnet.prefix_ > 124)) return refused("an IPv6 block must be from /32 to /124");
  Bytes base = subnet.first_;
  if (subnet.prefix_ % 8 != 0) base.at(subnet.prefix_ / 8) &= static_cast<std::uint8_t>(0xff00U >> subnet.prefix_ % 8);
  std::fill(base.begin() + (subnet.prefix_ + 7) / 8, base.end(), std::uint8_t{0});
  if (base != subnet.first_) return refused("it has bits behind its prefix: it is an address, not a block's beginning");
  const bool multicast = ipv4 ? base[0] >= 0xe0 : base[0] == 0xff;
  const bool link_local = !ipv4 && base[0] == 0xfe && (base[1] & 0xc0U) == 0x80;
  if (multicast || link_local) return refused("multicast and link-local addresses belong to no single machine");
  return subnet;
}

std::string Subnet::text() const { return write_address(first_, length_) + '/' + std::to_string(prefix_); }

bool Subnet::contains(const std::string& address) const {
  Bytes bytes{};
  return read_address(address, bytes) == length_ && same_bits(first_, bytes, prefix_);
}

bool Subnet::overlaps(const Subnet& other) const {
  return length_ == other.length_ && same_bits(first_, other.first_, std::min(prefix_, other.prefix_));
}

std::uint64_t Subnet::size() const {
  const unsigned bits = std::min(length_ * 8 - prefix_, counted_bits);
  return (std::uint64_t{1} << bits) - first_number - (length_ == ipv4_bytes ? 1 : 0);
}

std::string Subnet::address(std::uint64_t number) const {
  Bytes bytes = first_;
  std::uint64_t rest = number + first_number;
  for (unsigned at = length_; rest != 0; rest >>= 8U) bytes.at(--at) |= static_cast<std::uint8_t>(rest & 0xffU);
  return write_address(bytes, length_);
}

}  // namespace k4t::model
