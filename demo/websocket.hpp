#pragma once

#include "connection.hpp"

namespace demo {

/// Echoes the messages of a WebSocket (RFC 6455) whose handshake is done, until it is closed by either side, breaks
/// the protocol, or the program ends ("going away").
void echo_websocket(Connection& connection);

}  // namespace demo
