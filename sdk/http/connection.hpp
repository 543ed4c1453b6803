#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "k4t/http.hpp"

namespace k4t::http {

/// One connection to a server, used by one request at a time.
class Connection {
 public:
  Connection(std::unique_ptr<transport::Stream> stream, std::string where);

  /// What an exchange ended with, and what its end means for the connection.
  struct Outcome {
    Result<Response> response;
    bool reusable = false;  ///< another request may follow on this connection
    bool silent = false;    ///< it failed before a single byte of the answer came
  };

  /// Sends the request and reads its answer. REQUIRES: check(request) was fine.
  Outcome exchange(const Request& request, const std::string& host_header, std::chrono::steady_clock::time_point until);

  /// False: the server closed it, or said something unasked. For a connection that waits for its next request.
  [[nodiscard]] bool still_idle();

 private:
  std::unique_ptr<transport::Stream> stream_;
  std::string where_;
};

/// INVALID_ARGUMENT for what could not be sent as it is, or would be taken for something else.
Result<void> check(const Request& request);

}  // namespace k4t::http
