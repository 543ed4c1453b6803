#include <openssl/rand.h>

#include <utility>

#include "connection.hpp"
#include "message.hpp"
#include "wire.hpp"

namespace k4t::dnsupdate {
namespace {

/// More than any zone that k4t could sensibly share; bounds what a lying server can make us read.
constexpr std::size_t transfer_limit_bytes = std::size_t{1} << 30;
constexpr std::size_t record_fixed_bytes = 10;  // type, class, TTL, length
constexpr std::size_t name_extra_bytes = 2;     // first length byte and the root label
constexpr std::size_t signature_bytes = 512;    // TSIG of the longest key name, with some to spare

std::uint64_t unix_time_s() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

Result<std::uint16_t> random_id() {
  std::uint16_t id = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&id), sizeof id) != 1) {
    return Error{Status::fatal, "OpenSSL has no random numbers", {}};
  }
  return id;
}

Result<void> check_header(std::string_view message, std::uint16_t id, std::uint16_t opcode) {
  const Header header = header_of(message);
  if (header.answer && header.id == id && header.opcode == opcode && !header.truncated) return {};
  return Error{Status::unavailable, "the DNS server sent something else than the answer", {}};
}

/// Follows the messages of a transfer: it begins and ends with the zone's SOA (RFC 5936 §2.2).
class TransferEnd {
 public:
  explicit TransferEnd(std::string_view zone) : zone_(zone) {}

  /// True: the record is to be visited.
  Result<bool> take(const Record& record) {
    const bool is_soa = record.type == type::soa && record.name == zone_;
    if (begun_ ? ended_ : !is_soa) return Error{Status::unavailable, "the zone transfer is malformed", {}};
    ended_ = begun_ && is_soa;
    begun_ = true;
    return !ended_;
  }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  std::string_view zone_;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace

std::size_t wire_bytes(const Prerequisite& prerequisite) {
  const std::size_t empty = prerequisite.name.size() + name_extra_bytes + record_fixed_bytes;
  if (prerequisite.kind != Prerequisite::Kind::rrset_equals) return empty;
  std::size_t sum = 0;
  for (const auto& rdata : prerequisite.rdatas) sum += empty + rdata.size();
  return sum;
}

std::size_t wire_bytes(const Change& change) {
  return change.name.size() + name_extra_bytes + record_fixed_bytes + change.rdata.size();
}

std::size_t envelope_bytes(std::string_view zone) {
  return header_bytes + zone.size() + name_extra_bytes + 4 + signature_bytes;
}

struct Client::State {
  Endpoint endpoint;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<Connection> connection;
  bool key_forgotten = false;  ///< why the last conversation failed

  [[nodiscard]] std::string where() const {
    const bool v6 = endpoint.address.find(':') != std::string::npos;
    return (v6 ? "[" + endpoint.address + "]" : endpoint.address) + ":" + std::to_string(endpoint.port);
  }

  Result<void> connect(const Limits& limits) {
    const bool usable = !authenticator || !authenticator->expired(unix_time_s());
    if (connection && usable && connection->idle()) return {};
    connection.reset();
    K4T_ASSIGN(auto opened, Connection::open(endpoint, limits));
    connection = std::move(opened);
    if (!authenticator) return {};
    const auto ask = [&](std::string message) -> Result<std::string> {
      K4T_TRY(connection->send(message, limits));
      return connection->receive(limits);
    };
    return authenticator->negotiate(ask, limits);
  }

  using OnMessage = std::function<Result<bool>(std::string_view message)>;

  /// Sends a request and passes on the verified messages of its answer until `on_message` wants no more.
  Result<void> converse(std::string request, const Limits& limits, const OnMessage& on_message) {
    const std::uint16_t id = get_u16(request, 0);
    const std::uint16_t opcode = header_of(request).opcode;
    // Whoever gave up before anything was sent shall find nothing changed.
    K4T_TRY(check(limits));
    K4T_TRY(connect(limits));
    std::unique_ptr<Verifier> verifier;
    if (authenticator) {
      K4T_ASSIGN(verifier, authenticator->sign(request, unix_time_s()));
    }
    K4T_TRY(connection->send(request, limits));
    for (bool more = true; more;) {
      K4T_ASSIGN(const std::string message, connection->receive(limits));
      K4T_TRY(check_header(message, id, opcode));
      const auto verified = verifier ? verifier->verify(message, unix_time_s()) : Result<void>();
      key_forgotten = !verified && verifier->key_forgotten();
      K4T_TRY(verified);
      K4T_ASSIGN(more, on_message(message));
    }
    return verifier ? verifier->finish() : Result<void>();
  }

  /// converse() that leaves no connection behind on which a late answer could arrive.
  Result<void> exchange(std::string request, const Limits& limits, const OnMessage& on_message) {
    key_forgotten = false;
    auto outcome = converse(std::move(request), limits, on_message);
    if (outcome) return outcome;
    connection.reset();
    return outcome.error().within("DNS server " + where());
  }

  Result<std::string> ask(std::string request, const Limits& limits) {
    std::string answer;
    const bool reused = connection != nullptr;
    const auto keep = [&](std::string_view message) -> Result<bool> {
      answer = message;
      return false;
    };
    const bool question = header_of(request).opcode == opcode_query;
    auto outcome = exchange(request, limits, keep);
    // Servers close idle connections, now and then just when we write. A question can be asked again, an update only
    // where the server could not even tell that it was ours.
    const bool again = key_forgotten || (reused && question && outcome.status() == Status::unavailable);
    if (!outcome && again) {
      outcome = exchange(std::move(request), limits, keep);
    }
    if (!outcome) return outcome.error();
    return answer;
  }
};

Client::Client(Endpoint endpoint, std::unique_ptr<Authenticator> authenticator) : state_(std::make_unique<State>()) {
  state_->endpoint = std::move(endpoint);
  state_->authenticator = std::move(authenticator);
}

Client::Client(Client&&) noexcept = default;
Client::~Client() = default;

std::string Client::where() const { return state_->where(); }

Result<void> Client::update(const Update& update, const Limits& limits) {
  K4T_ASSIGN(const auto id, random_id());
  K4T_ASSIGN(auto request, encode_update(update, id));
  K4T_ASSIGN(const auto answer, state_->ask(std::move(request), limits));
  const auto rcode = static_cast<Rcode>(header_of(answer).rcode);
  if (rcode == Rcode::no_error) return {};
  return update_error(rcode, where(), update.zone, state_->authenticator.get());
}

Result<Answer> Client::query(std::string_view name, std::uint16_t type, const Limits& limits) {
  K4T_ASSIGN(const auto id, random_id());
  K4T_ASSIGN(auto request, encode_query(name, type, id));
  K4T_ASSIGN(const auto message, state_->ask(std::move(request), limits));
  const Header header = header_of(message);
  const auto rcode = static_cast<Rcode>(header.rcode);
  if (rcode != Rcode::no_error && rcode != Rcode::name_error) return query_error(rcode, where(), name);
  auto sections = decode_answer(message, name, type);
  if (!sections) return sections.error().within("DNS server " + where());
  return Answer{header.authoritative, rcode == Rcode::no_error, std::move(sections->answer),
                std::move(sections->authority)};
}

Result<void> Client::transfer(std::string_view zone, const std::function<void(Record)>& visit, const Limits& limits) {
  K4T_ASSIGN(const auto id, random_id());
  K4T_ASSIGN(auto request, encode_query(zone, type_axfr, id));
  TransferEnd end(zone);
  std::size_t seen_bytes = 0;
  std::optional<Rcode> refused;
  const auto take = [&](std::string_view message) -> Result<bool> {
    const auto rcode = static_cast<Rcode>(header_of(message).rcode);
    if (rcode != Rcode::no_error) {
      refused = rcode;
      return false;
    }
    seen_bytes += message.size();
    if (seen_bytes > transfer_limit_bytes) return Error{Status::unavailable, "the zone transfer is too long", {}};
    K4T_ASSIGN(auto sections, decode_answer(message, zone, type_axfr));
    for (auto& record : sections.answer) {
      K4T_ASSIGN(const bool wanted, end.take(record));
      if (wanted) visit(std::move(record));
    }
    return !end.ended();
  };
  K4T_TRY(state_->exchange(std::move(request), limits, take));
  if (!refused) return {};
  if (*refused == Rcode::refused || *refused == Rcode::not_auth) {
    return Error{Status::unsupported,
                 "DNS server " + where() + " does not let us transfer the zone " + std::string(zone) +
                     "; grant it to the configured key with allow-transfer",
                 {}};
  }
  return query_error(*refused, where(), zone);
}

}  // namespace k4t::dnsupdate
