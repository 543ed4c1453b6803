#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/json.hpp"
#include "load_archive.hpp"

/// What a node that shares images keeps, and what is said about it. Pure.

namespace k4t::docker {

/// The layers that loads send, each once.
struct Spool {
  std::vector<Segment> segments;  ///< one after another
  std::string recipes;            ///< which of them make up each load: lines "LOAD OFFSET BYTES", loads counted from 0
};
Spool spool_of(const std::vector<runtime::LoadRequest>& loads);

/// A load that takes its layers from elsewhere. All the rest, which says what they are, comes from this machine, so
/// that a node that lies about a layer is found out by the engine that takes it.
struct Assembly {
  std::string parts;         ///< "own BYTES layer BYTES …", in the order of the archive
  std::vector<Segment> own;  ///< what this machine gives
  std::uint64_t bytes = 0;   ///< of the archive
};
/// Errors as load_archive().
Result<Assembly> assembly_of(const runtime::LoadRequest& request);

/// How one node takes one load from another.
struct Ticket {
  std::string address;
  std::uint16_t port = 0;
  std::string user;
  std::string host_key;     ///< "ssh-ed25519 AAAA…", which alone is believed
  std::string private_key;  ///< which opens nothing but this share
  std::uint32_t load = 0;
};
K4T_JSON(Ticket, address, port, user, host_key, private_key, load)

/// What the sharing node says when everything is there: "ADDRESS PORT USER", a line with the host's key, and lines with
/// the private key. UNAVAILABLE: that is not what it says.
Result<Ticket> parse_shared(const std::string& text);

/// What a node that takes a load says meanwhile: `dd`'s lines about bytes, and at the end lines "ssh WORDS", "docker
/// WORDS" and "end CODE CODE" with the exit codes of both programs; or "no REASON".
class TakeReader {
 public:
  /// How many bytes have come, each time that this is told.
  template <class OnBytes>
  void feed(std::string_view bytes, OnBytes&& on_bytes) {
    pending_ += bytes;
    for (auto at = pending_.find_first_of("\r\n"); at != std::string::npos; at = pending_.find_first_of("\r\n")) {
      if (const auto told = take_line(pending_.substr(0, at))) on_bytes(*told);
      pending_.erase(0, at + 1);
    }
  }

  /// After the last byte: what it means. UNSUPPORTED: this node cannot take it from there, see Driver::load_image;
  /// other errors are the engine's, see load_error().
  [[nodiscard]] Result<void> outcome(const runtime::LoadRequest& request) const;

 private:
  std::optional<std::uint64_t> take_line(const std::string& line);

  std::string pending_;
  std::string ssh_words_;
  std::string docker_words_;
  std::optional<std::string> refusal_;
  int ssh_code_ = -1;
  int docker_code_ = -1;
};

}  // namespace k4t::docker
