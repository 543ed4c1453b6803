#pragma once

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "k4t/participant.hpp"
#include "k4t/plugin.hpp"

/// DNS servers of any vendor. A cluster owns one suffix (its domain) wholly: every name at or below it, apart from
/// SOA, NS and names that begin with "_k4t", is k4t's to write.

namespace k4t::dns {

/// Feature names for Manifest::capabilities.
namespace capability {
inline constexpr const char* witness = "witness";  ///< has the witness methods
}  // namespace capability

enum class Type { a, aaaa, srv, txt };
K4T_SDK_JSON_ENUM(Type, {Type::a, "A"}, {Type::aaaa, "AAAA"}, {Type::srv, "SRV"}, {Type::txt, "TXT"})

/// All records of one name and type (RFC 2181 §5). `values` in presentation form without quoting: A and AAAA an
/// address in canonical text, SRV "priority weight port target", TXT one string of at most 255 bytes.
struct RecordSet {
  std::string name;  ///< fully qualified, lower case, without the final dot
  Type type = Type::a;
  std::uint32_t ttl_s = 5;
  std::vector<std::string> values;  ///< sorted, distinct, at least one, at most 100
  auto operator<=>(const RecordSet&) const = default;
};
K4T_SDK_JSON(RecordSet, name, type, ttl_s, values)

/// Everything that the DNS servers of a cluster serve below `suffix`.
struct State {
  std::string suffix;              ///< fully qualified, lower case, without the final dot
  std::vector<RecordSet> records;  ///< sorted by name, then type; distinct
  auto operator<=>(const State&) const = default;
};
K4T_SDK_JSON(State, suffix, records)

}  // namespace k4t::dns

namespace k4t {
K4T_JSON_PARTICIPANT(dns::State)
}  // namespace k4t

namespace k4t::dns {

using ObserveRequest = k4t::ObserveRequest<State>;
using PrepareRequest = k4t::PrepareRequest<State>;

/// Compare-and-swap of one witness register, a TXT record "_k4t-w-<id>" below the suffix.
struct WitnessReadRequest {
  std::string suffix;
  std::string id;
};
K4T_SDK_JSON(WitnessReadRequest, suffix, id)
struct WitnessValue {
  std::optional<std::string> text;  ///< absent: no such record, and that is known
};
K4T_SDK_JSON(WitnessValue, text)
struct WitnessSwapRequest {
  std::string suffix;
  std::string id;
  std::optional<std::string> expected;  ///< absent: there must be no record
  std::optional<std::string> text;      ///< absent: delete it
};
K4T_SDK_JSON(WitnessSwapRequest, suffix, id, expected, text)

namespace method {
struct Observe {
  static constexpr const char* name = "observe";
  using Request = ObserveRequest;
  using Reply = Observation;
};
struct Prepare {
  static constexpr const char* name = "prepare";
  using Request = PrepareRequest;
  using Reply = Nothing;
};
struct Commit {
  static constexpr const char* name = "commit";
  using Request = CommitRequest;
  using Reply = CommitReply;
};
struct Abort {
  static constexpr const char* name = "abort";
  using Request = AbortRequest;
  using Reply = Nothing;
};
struct WitnessRead {
  static constexpr const char* name = "witness_read";
  using Request = WitnessReadRequest;
  using Reply = WitnessValue;
};
struct WitnessSwap {
  static constexpr const char* name = "witness_swap";
  using Request = WitnessSwapRequest;
  using Reply = Nothing;
};
}  // namespace method

/// What an author implements. One object per configured DNS server; see participant.hpp for what each verb promises.
class Driver {
 public:
  virtual ~Driver() = default;
  virtual Result<Observation> observe(const ObserveRequest& request, Call& call) = 0;
  virtual Result<Nothing> prepare(const PrepareRequest& request, Call& call) = 0;
  virtual Result<CommitReply> commit(const CommitRequest& request, Call& call) = 0;
  virtual Result<Nothing> abort(const AbortRequest& request, Call& call) = 0;

  /// Only with capability::witness. CONFLICT: the record is not exactly `expected`.
  virtual Result<WitnessValue> witness_read(const WitnessReadRequest& /*request*/, Call& /*call*/) {
    return Error{Status::unsupported, "this DNS driver cannot be a witness", {}};
  }
  virtual Result<Nothing> witness_swap(const WitnessSwapRequest& /*request*/, Call& /*call*/) {
    return Error{Status::unsupported, "this DNS driver cannot be a witness", {}};
  }
};

struct Kind {
  static constexpr const char* name = "dns";
  static constexpr const char* api = "dns.v1";
  using Driver = dns::Driver;

  static Result<Json> dispatch(Driver& driver, std::string_view method, std::string_view request, Call& call);
};
#if K4T_SDK_BODIES
K4T_SDK_INLINE Result<Json> Kind::dispatch(Driver& driver, std::string_view method, std::string_view request,
                                           Call& call) {
  return Dispatch(method, request)
      .on<method::Observe>([&](const auto& in) { return driver.observe(in, call); })
      .on<method::Prepare>([&](const auto& in) { return driver.prepare(in, call); })
      .on<method::Commit>([&](const auto& in) { return driver.commit(in, call); })
      .on<method::Abort>([&](const auto& in) { return driver.abort(in, call); })
      .on<method::WitnessRead>([&](const auto& in) { return driver.witness_read(in, call); })
      .on<method::WitnessSwap>([&](const auto& in) { return driver.witness_swap(in, call); })
      .outcome();
}
#endif

}  // namespace k4t::dns
