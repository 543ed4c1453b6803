#include "websocket.hpp"

#include <cstdint>

namespace demo {
namespace {

constexpr std::size_t kMessageBytes = 1 << 20;
constexpr std::chrono::hours kSocketIdleTimeout{1};
constexpr std::chrono::seconds kFrameTimeout{10};

enum Opcode : unsigned { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };
enum CloseCode : std::uint16_t { going_away = 1001, protocol_error = 1002, too_big = 1009 };

struct Frame {
  bool final = false;
  unsigned opcode = 0;
  std::string payload;
};

std::string encode(unsigned opcode, std::string_view payload) {
  std::string frame(1, static_cast<char>(0x80 | opcode));
  const std::uint64_t size = payload.size();
  if (size < 126) {
    frame += static_cast<char>(size);
  } else {
    const int bytes = size < 65536 ? 2 : 8;
    frame += static_cast<char>(bytes == 2 ? 126 : 127);
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) frame += static_cast<char>(size >> shift & 0xff);
  }
  return frame.append(payload);
}

void say_goodbye(Connection& connection, CloseCode code) {
  const std::string payload = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  connection.write(encode(close, payload));
}

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

/// The next frame; false: the connection is over, the peer having been told why where it broke the protocol.
bool read_frame(Connection& connection, Frame& frame) {
  const auto until = Clock::now() + kFrameTimeout;
  const auto head = connection.read_exactly(2, until);
  if (!head) return false;
  const auto first = static_cast<unsigned char>((*head)[0]);
  const auto second = static_cast<unsigned char>((*head)[1]);
  frame.final = (first & 0x80) != 0;
  frame.opcode = first & 0x0f;
  std::uint64_t size = second & 0x7f;
  // A client's frames are masked, without extensions there are no reserved bits, and control frames are short and
  // whole.
  const bool control = (frame.opcode & 8) != 0;
  if ((second & 0x80) == 0 || (first & 0x70) != 0 || (control && (size > 125 || !frame.final))) {
    return say_goodbye(connection, protocol_error), false;
  }
  if (size >= 126) {
    const auto longer = connection.read_exactly(size == 126 ? 2 : 8, until);
    if (!longer) return false;
    size = big_endian(*longer);
  }
  if (size > kMessageBytes) return say_goodbye(connection, too_big), false;
  const auto mask = connection.read_exactly(4, until);
  auto payload = mask ? connection.read_exactly(size, until) : std::nullopt;
  if (!payload) return false;
  for (std::size_t i = 0; i < payload->size(); ++i) (*payload)[i] = static_cast<char>((*payload)[i] ^ (*mask)[i % 4]);
  frame.payload = *std::move(payload);
  return true;
}

}  // namespace

void echo_websocket(Connection& connection) {
  std::string message;
  unsigned kind = 0;
  for (Frame frame;;) {
    const auto waited = connection.wait(kSocketIdleTimeout, /*until_ending=*/true);
    if (waited != Connection::Wait::data) return say_goodbye(connection, going_away);
    if (!read_frame(connection, frame)) return;
    if (frame.opcode == close) return static_cast<void>(connection.write(encode(close, frame.payload.substr(0, 2))));
    if (frame.opcode == ping && !connection.write(encode(pong, frame.payload))) return;
    if (frame.opcode == ping || frame.opcode == pong) continue;
    const bool begins = frame.opcode == text || frame.opcode == binary;
    if (begins == (kind != 0) || (!begins && frame.opcode != continuation)) {
      return say_goodbye(connection, protocol_error);
    }
    if (begins) kind = frame.opcode;
    if (message.size() + frame.payload.size() > kMessageBytes) return say_goodbye(connection, too_big);
    message += frame.payload;
    if (!frame.final) continue;
    if (!connection.write(encode(kind, message))) return;
    message.clear();
    kind = 0;
  }
}

}  // namespace demo
