#include <openssl/rand.h>

#include <map>
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

Error not_the_answer() { return Error{Status::unavailable, "the DNS server sent something else than the answer", {}}; }

Result<void> check_header(std::string_view message, std::uint16_t opcode) {
  const Header header = header_of(message);
  if (header.answer && header.opcode == opcode && !header.truncated) return {};
  return not_the_answer();
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
    const auto ask = [&](const std::string& message) -> Result<std::string> {
      K4T_TRY(connection->send(message, limits));
      return connection->receive(limits);
    };
    return authenticator->negotiate(ask, limits);
  }

  /// A request on its way.
  struct Awaited {
    std::size_t request = 0;  ///< which of the conversation
    std::uint16_t opcode = 0;
    std::unique_ptr<Verifier> verifier;
  };
  /// Takes a verified message of the answer to one of the requests; false: no more of them are wanted.
  using OnMessage = std::function<Result<bool>(std::size_t request, std::string_view message)>;

  Result<Awaited> send(std::string request, const Limits& limits) {
    Awaited sent{0, header_of(request).opcode, {}};
    if (authenticator) {
      K4T_ASSIGN(sent.verifier, authenticator->sign(request, unix_time_s()));
    }
    K4T_TRY(connection->send(request, limits));
    return sent;
  }

  Result<void> check_answer(const Awaited& sent, std::string_view message) {
    K4T_TRY(check_header(message, sent.opcode));
    if (!sent.verifier) return {};
    auto verified = sent.verifier->verify(message, unix_time_s());
    key_forgotten = !verified && sent.verifier->key_forgotten();
    return verified;
  }

  /// Sends the requests, some ahead of the answers, which may come in any order (RFC 7766 §7). REQUIRES: different ids.
  Result<void> converse(std::span<const std::string> requests, const Limits& limits, const OnMessage& on_message) {
    // Whoever gave up before anything was sent shall find nothing changed.
    K4T_TRY(check(limits));
    K4T_TRY(connect(limits));
    std::map<std::uint16_t, Awaited> awaited;  // by id
    for (std::size_t next = 0; next < requests.size() || !awaited.empty();) {
      if (next < requests.size() && awaited.size() < endpoint.ahead_limit) {
        K4T_ASSIGN(auto sent, send(requests[next], limits));
        sent.request = next;
        awaited.emplace(get_u16(requests[next++], 0), std::move(sent));
        continue;
      }
      K4T_ASSIGN(const std::string message, connection->receive(limits));
      const auto found = awaited.find(get_u16(message, 0));
      if (found == awaited.end()) return not_the_answer();
      K4T_TRY(check_answer(found->second, message));
      K4T_ASSIGN(const bool more, on_message(found->second.request, message));
      if (more) continue;
      if (found->second.verifier) K4T_TRY(found->second.verifier->finish());
      awaited.erase(found);
    }
    return {};
  }

  /// converse() that leaves no connection behind on which a late answer could arrive.
  Result<void> exchange(std::span<const std::string> requests, const Limits& limits, const OnMessage& on_message) {
    key_forgotten = false;
    auto outcome = converse(requests, limits, on_message);
    if (outcome) return outcome;
    connection.reset();
    return outcome.error().within("DNS server " + where());
  }

  /// One message for each request, all of which are questions or one of which is an update.
  Result<std::vector<std::string>> ask(std::span<const std::string> requests, const Limits& limits) {
    std::vector<std::string> answers(requests.size());
    const bool reused = connection != nullptr;
    const auto keep = [&](std::size_t request, std::string_view message) -> Result<bool> {
      answers[request] = message;
      return false;
    };
    const bool questions = header_of(requests.front()).opcode == opcode_query;
    auto outcome = exchange(requests, limits, keep);
    // Servers close idle connections, now and then just when we write. Questions can be asked again, an update only
    // where the server could not even tell that it was ours.
    const bool again = key_forgotten || (reused && questions && outcome.status() == Status::unavailable);
    if (!outcome && again) outcome = exchange(requests, limits, keep);
    if (!outcome) return outcome.error();
    return answers;
  }

  [[nodiscard]] Result<Answer> understand(std::string_view message, const Question& question) const;
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
  K4T_ASSIGN(const std::string request, encode_update(update, id));
  K4T_ASSIGN(const auto answers, state_->ask({&request, 1}, limits));
  const auto rcode = static_cast<Rcode>(header_of(answers.front()).rcode);
  if (rcode == Rcode::no_error) return {};
  return update_error(rcode, where(), update.zone, state_->authenticator.get());
}

Result<Answer> Client::State::understand(std::string_view message, const Question& question) const {
  const Header header = header_of(message);
  const auto rcode = static_cast<Rcode>(header.rcode);
  if (rcode != Rcode::no_error && rcode != Rcode::name_error) return query_error(rcode, where(), question.name);
  auto sections = decode_answer(message, question.name, question.type);
  if (!sections) return sections.error().within("DNS server " + where());
  return Answer{header.authoritative, rcode == Rcode::no_error, std::move(sections->answer),
                std::move(sections->authority)};
}

Result<std::vector<Answer>> Client::query(std::span<const Question> questions, const Limits& limits) {
  if (questions.empty()) return std::vector<Answer>();
  K4T_ASSIGN(std::uint16_t id, random_id());
  std::vector<std::string> requests;
  for (const auto& question : questions) {
    K4T_ASSIGN(auto request, encode_query(question.name, question.type, id++));
    requests.push_back(std::move(request));
  }
  K4T_ASSIGN(const auto messages, state_->ask(requests, limits));
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    K4T_ASSIGN(auto answer, state_->understand(messages[i], questions[i]));
    answers.push_back(std::move(answer));
  }
  return answers;
}

Result<Answer> Client::query(const Question& question, const Limits& limits) {
  K4T_ASSIGN(auto answers, query({&question, 1}, limits));
  return std::move(answers.front());
}

Result<void> Client::transfer(std::string_view zone, const std::function<void(Record)>& visit, const Limits& limits) {
  K4T_ASSIGN(const auto id, random_id());
  K4T_ASSIGN(const std::string request, encode_query(zone, type_axfr, id));
  TransferEnd end(zone);
  std::size_t seen_bytes = 0;
  std::optional<Rcode> refused;
  const auto take = [&](std::size_t, std::string_view message) -> Result<bool> {
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
  K4T_TRY(state_->exchange({&request, 1}, limits, take));
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
