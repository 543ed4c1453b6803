#include "connection.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace k4t::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds cancel_poll{50};
constexpr std::uint32_t header_limit_bytes = 64u << 10;
constexpr std::size_t source_piece_bytes = 128u << 10;
constexpr int interim_limit = 16;  ///< 1xx answers before the real one

/// Beast's SyncReadStream and SyncWriteStream over a transport stream, with the request's deadline and cancellation.
/// Why an operation failed is in `failure`, of which Beast's error code tells only that there is one.
class TimedStream {
 public:
  TimedStream(transport::Stream& stream, const Request& request, Clock::time_point until)
      : stream_(stream), request_(request), until_(until) {}

  std::optional<Error> failure;
  bool silent = true;  ///< nothing has been received

  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, error_code& error) {
    const auto size = asio::buffer_size(buffers);
    error = {};
    for (;;) {
      const auto wait = next_wait(error);
      if (error) return 0;
      const auto bytes = stream_.read(size, wait);
      if (!bytes && bytes.status() == Status::deadline) continue;
      if (!bytes) return fail(bytes.error(), error);
      if (bytes->empty()) {
        error = asio::error::eof;
        return 0;
      }
      silent = false;
      return asio::buffer_copy(buffers, asio::buffer(*bytes));
    }
  }

  template <class Buffers>
  std::size_t write_some(const Buffers& buffers, error_code& error) {
    error = {};
    static_cast<void>(next_wait(error));
    if (error) return 0;
    // Line, headers and body in one piece: a packet for each would wait for its acknowledgement (RFC 896).
    const std::string bytes = beast::buffers_to_string(buffers);
    if (const auto written = stream_.write(bytes, remaining()); !written) return fail(written.error(), error);
    return bytes.size();
  }

  /// Sends all that the source has. Piece by piece, so that time and cancellation are looked at in between.
  void write_all(const BodySource& source, error_code& error) {
    for (std::uint64_t left = source.bytes; left > 0 && !error;) {
      const auto piece = source.next(static_cast<std::size_t>(std::min<std::uint64_t>(left, source_piece_bytes)));
      if (!piece) {
        fail(piece.error(), error);
      } else if (piece->empty() || piece->size() > left) {
        fail(Error{Status::fatal, "a request's body is not as long as was said", {}}, error);
      } else {
        write_some(asio::buffer(*piece), error);
        left -= piece->size();
      }
    }
  }

  // The throwing forms that the stream concepts ask for.
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers) {
    error_code error;
    const auto size = read_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return size;
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers) {
    error_code error;
    const auto size = write_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return size;
  }

 private:
  [[nodiscard]] milliseconds remaining() const { return std::chrono::ceil<milliseconds>(until_ - Clock::now()); }

  /// How long to wait at most before asking again whether to go on; an error when the request is over.
  milliseconds next_wait(error_code& error) {
    const auto left = remaining();
    if (left.count() <= 0) fail(Error{Status::deadline, "no complete answer came in time", {}}, error);
    if (!error && request_.cancelled && request_.cancelled()) {
      fail(Error{Status::deadline, "the request was cancelled", {}}, error);
    }
    return request_.cancelled ? std::min(left, cancel_poll) : left;
  }

  std::size_t fail(Error why, error_code& error) {
    failure = std::move(why);
    error = asio::error::connection_aborted;
    return 0;
  }

  transport::Stream& stream_;
  const Request& request_;
  Clock::time_point until_;
};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

beast::string_view view(std::string_view text) { return {text.data(), text.size()}; }

beast::http::request<beast::http::string_body> message_of(const Request& request, const std::string& host_header) {
  beast::http::request<beast::http::string_body> message;
  message.version(11);
  message.method_string(view(request.method));
  message.target(view(request.target));
  message.set(beast::http::field::host, view(host_header));
  message.set(beast::http::field::user_agent, "k4t");
  for (const auto& [name, value] : request.headers) message.set(view(name), view(value));
  message.body() = request.body;
  message.prepare_payload();
  if (request.body_source) message.content_length(request.body_source->bytes);
  return message;
}

/// Reads one answer. Beast's parser keeps its place between the calls.
class Reader {
 public:
  Reader(TimedStream& stream, const Request& request) : stream_(stream), request_(request) {}

  error_code read(Response& response) {
    error_code error;
    for (int interim = 0; interim < interim_limit; ++interim) {
      parser_.emplace();
      parser_->header_limit(header_limit_bytes);
      parser_->body_limit(boost::none);
      parser_->skip(request_.method == "HEAD");
      beast::http::read_header(stream_, buffer_, *parser_, error);
      if (error) return error;
      const auto status = parser_->get().result_int();
      if (status >= 200 || status == 101) return read_rest(response);
    }
    return beast::http::error::bad_status;
  }

  [[nodiscard]] bool too_long() const { return too_long_; }
  [[nodiscard]] bool reusable() const {
    return parser_ && parser_->is_done() && parser_->keep_alive() && buffer_.size() == 0;
  }

 private:
  error_code read_rest(Response& response) {
    response.status = static_cast<int>(parser_->get().result_int());
    for (const auto& field : parser_->get().base()) {
      const auto name = field.name_string();
      const auto value = field.value();
      response.headers[lower_case({name.data(), name.size()})] = std::string(value.data(), value.size());
    }
    if (!request_.skip_body) return read_body(response);
    response.complete = parser_->is_done();
    return {};
  }

  error_code read_body(Response& response) {
    std::array<char, 16384> piece{};
    while (!parser_->is_done()) {
      auto& body = parser_->get().body();
      body.data = piece.data();
      body.size = piece.size();
      error_code error;
      beast::http::read_some(stream_, buffer_, *parser_, error);
      if (error == beast::http::error::need_buffer) error = {};
      if (error) return error;
      const std::string_view bytes(piece.data(), piece.size() - body.size);
      if (!bytes.empty() && !take(bytes, response)) return {};
    }
    return {};
  }

  /// False: the rest is not wanted.
  bool take(std::string_view bytes, Response& response) {
    if (request_.on_body && response.status / 100 == 2) {
      response.complete = request_.on_body(bytes);
      return response.complete;
    }
    too_long_ = bytes.size() > request_.body_limit_bytes - response.body.size();
    if (too_long_) return false;
    response.body += bytes;
    return true;
  }

  TimedStream& stream_;
  const Request& request_;
  beast::flat_buffer buffer_{header_limit_bytes * 2};
  std::optional<beast::http::response_parser<beast::http::buffer_body>> parser_;
  bool too_long_ = false;
};

}  // namespace

Connection::Connection(std::unique_ptr<transport::Stream> stream, std::string where)
    : stream_(std::move(stream)), where_(std::move(where)) {}

Connection::Outcome Connection::exchange(const Request& request, const std::string& host_header,
                                         Clock::time_point until) {
  TimedStream stream(*stream_, request, until);
  const auto failed = [&](const error_code& error) -> Outcome {
    if (stream.failure) return {stream.failure->within(where_), false, stream.silent};
    const bool broke = error == asio::error::eof || error == beast::http::error::end_of_stream ||
                       error == beast::http::error::partial_message;
    const char* what = broke ? "the server closed the connection before its answer was complete"
                             : "what the server answers is not HTTP";
    return {Error{Status::unavailable, where_ + ": " + what, error.message()}, false, stream.silent};
  };
  auto message = message_of(request, host_header);
  error_code error;
  beast::http::write(stream, message, error);
  if (error) return failed(error);
  if (request.body_source) stream.write_all(*request.body_source, error);
  // A server that refuses a body may answer and hang up before it has all of it: its answer says more than the break.
  const auto unsent = stream.failure;
  if (unsent && unsent->status != Status::unavailable) return failed(error);
  Reader reader(stream, request);
  Response response;
  error = reader.read(response);
  if (error && unsent) stream.failure = unsent;
  if (error) return failed(error);
  if (reader.too_long()) {
    return {
        Error{Status::unavailable,
              where_ + ": the server's answer is longer than " + std::to_string(request.body_limit_bytes) + " bytes",
              {}},
        false, false};
  }
  return {std::move(response), reader.reusable() && !unsent, false};
}

bool Connection::still_idle() { return stream_->read(1, milliseconds(0)).status() == Status::deadline; }

}  // namespace k4t::http
