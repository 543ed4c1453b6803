#pragma once

#include <memory>
#include <string>

#include "k4t/call.hpp"
#include "k4t/transport.hpp"
#include "spool.hpp"
#include "transfer.hpp"

/// Images from node to node. The node that shares keeps the pieces in a folder of its own and runs a second sshd, on a
/// port and with keys that are made for the purpose, which does nothing but send the layers of one load. It ends with
/// the connection that started it, so that nothing of it outlives k4t. The nodes that take have what any host of Docker
/// has: the programs ssh and docker.

namespace k4t::docker {

/// What a node shares, as long as this object lives.
class Share {
 public:
  /// Brings the spool there. `port` 0: any that is free. UNSUPPORTED: it cannot be shared from there.
  static Result<std::unique_ptr<Share>> begin(transport::Host& host, const Spool& spool, SegmentReader& reader,
                                              std::uint16_t port, std::uint32_t for_s, Call& call);

  /// For the load of that number.
  [[nodiscard]] Ticket ticket(std::uint32_t load) const;

 private:
  Share(std::unique_ptr<transport::Stream> program, Ticket ticket)
      : program_(std::move(program)), ticket_(std::move(ticket)) {}

  std::unique_ptr<transport::Stream> program_;
  Ticket ticket_;
};

/// Lets that host take what the ticket is for, into the engine behind its unix socket `socket`. Errors: see
/// Driver::load_image. Returns the bytes that it was sent.
Result<std::uint64_t> take_shared(transport::Host& host, const std::string& socket, const runtime::LoadRequest& request,
                                  const Ticket& ticket, Call& call);

}  // namespace k4t::docker
