#include "tsig.hpp"

#include <utility>

#include "message.hpp"
#include "wire.hpp"

namespace k4t::dnsupdate {
namespace {

enum TsigError : std::uint16_t { bad_sig = 16, bad_key = 17, bad_time = 18, bad_trunc = 22 };

/// RFC 8945 §5.3.1: a server need not sign every message of a long answer, but one in this many.
constexpr int unsigned_limit = 99;

constexpr std::string_view clocks_differ =
    "the clocks of this machine and of the DNS server differ by more than 5 minutes; synchronise them";

struct Names {
  std::string key;        ///< wire form, lower case
  std::string algorithm;  ///< wire form, lower case
  std::string key_text;
};

/// The part of the signed bytes that comes from the record itself (RFC 8945 §4.3.3).
std::string variables(const TsigRecord& record) {
  std::string bytes = record.key_name;
  put_u16(bytes, class_any);
  put_u32(bytes, 0);
  bytes += record.algorithm;
  put_u48(bytes, record.time_s);
  put_u16(bytes, record.fudge_s);
  put_u16(bytes, record.error);
  put_u16(bytes, static_cast<std::uint16_t>(record.other.size()));
  return bytes + record.other;
}

std::string timers(const TsigRecord& record) {
  std::string bytes;
  put_u48(bytes, record.time_s);
  put_u16(bytes, record.fudge_s);
  return bytes;
}

std::string with_length(std::string_view mac) {
  std::string bytes;
  put_u16(bytes, static_cast<std::uint16_t>(mac.size()));
  return bytes.append(mac);
}

/// The message as it was before its signature was added.
std::string unsigned_form(std::string_view message, const TsigRecord& record) {
  std::string bytes(message.substr(0, record.begin));
  set_u16(bytes, 0, record.original_id);
  set_u16(bytes, 10, static_cast<std::uint16_t>(get_u16(bytes, 10) - 1));
  return bytes;
}

std::string encoded(const TsigRecord& record) {
  std::string rdata = record.algorithm;
  put_u48(rdata, record.time_s);
  put_u16(rdata, record.fudge_s);
  rdata += with_length(record.mac);
  put_u16(rdata, record.original_id);
  put_u16(rdata, record.error);
  rdata += with_length(record.other);
  std::string bytes = record.key_name;
  put_u16(bytes, type_tsig);
  put_u16(bytes, class_any);
  put_u32(bytes, 0);
  return bytes + with_length(rdata);
}

Error not_credible(const std::string& why) {
  return Error{Status::unavailable, "the DNS server's answer is not signed as it must be, so it counts for nothing",
               why};
}

class TsigVerifier final : public Verifier {
 public:
  TsigVerifier(Names names, std::shared_ptr<MacScheme> scheme, TsigRules rules, std::string request_mac)
      : names_(std::move(names)),
        scheme_(std::move(scheme)),
        rules_(std::move(rules)),
        previous_mac_(std::move(request_mac)) {}

  Result<void> verify(std::string_view message, std::uint64_t now_s) override {
    K4T_ASSIGN(const auto record, find_tsig(message));
    if (!record) return keep_unsigned(message);
    K4T_TRY(check_refusal(message, *record));
    if (record->key_name != names_.key || record->algorithm != names_.algorithm) {
      return not_credible("signed with another key");
    }
    if (first_ && record->mac == previous_mac_) return echoed(static_cast<Rcode>(header_of(message).rcode));
    if (!fits(message, *record)) return not_credible("the signature does not fit");
    first_ = false;
    unsigned_ = 0;
    pending_.clear();
    previous_mac_ = record->mac;
    if (record->error == bad_time) return clock_error(*record);
    if (record->error != 0) return not_credible("TSIG error " + std::to_string(record->error));
    const std::uint64_t apart_s = now_s > record->time_s ? now_s - record->time_s : record->time_s - now_s;
    if (apart_s <= record->fudge_s) return {};
    return Error{Status::unavailable, std::string(clocks_differ),
                 "the answer was signed " + std::to_string(apart_s) + " s away from our time"};
  }

  [[nodiscard]] bool key_forgotten() const override { return key_forgotten_; }

  Result<void> finish() override {
    if (first_ || unsigned_ > 0) return not_credible("its last message is not signed");
    return {};
  }

 private:
  [[nodiscard]] bool fits(std::string_view message, const TsigRecord& record) const {
    const std::string bytes = pending_ + unsigned_form(message, record) + (first_ ? variables(record) : timers(record));
    return scheme_->fits(with_length(previous_mac_) + bytes, record.mac) ||
           (rules_.negotiated && scheme_->fits(previous_mac_ + bytes, record.mac));
  }

  /// Samba sends our own message back with an error code in it: nobody vouches for the code.
  Result<void> echoed(Rcode rcode) {
    key_forgotten_ = rules_.negotiated && rcode == Rcode::not_auth;
    const std::string code = rcode_text(rcode);
    const std::string answered = "the DNS server answered " + code + " and did not sign it";
    const bool prerequisite = rcode == Rcode::name_error || rcode == Rcode::name_exists ||
                              rcode == Rcode::rrset_exists || rcode == Rcode::rrset_missing;
    if (prerequisite && rules_.negotiated) return Error{Status::conflict, answered, code};
    if (rules_.how_to_grant.empty() || key_forgotten_) return Error{Status::unavailable, answered, code};
    return Error{Status::unavailable,
                 answered + "; if this remains so, it does not let us write one of the records: " + rules_.how_to_grant,
                 code};
  }

  Result<void> keep_unsigned(std::string_view message) {
    if (first_) return not_credible("no signature");
    if (++unsigned_ > unsigned_limit) return not_credible("too many messages without a signature");
    pending_.append(message);
    return {};
  }

  /// A server that cannot use our key cannot sign its refusal either (RFC 8945 §5.2): it is believed as far as to
  /// explain the failure.
  Result<void> check_refusal(std::string_view message, const TsigRecord& record) {
    if (header_of(message).rcode != static_cast<std::uint8_t>(Rcode::not_auth) || !record.mac.empty()) return {};
    const std::string key = "the TSIG key '" + names_.key_text + "'";
    if (record.error == bad_key && rules_.negotiated) {
      key_forgotten_ = true;
      return Error{Status::unavailable, "the DNS server has forgotten the security context of this connection",
                   "BADKEY"};
    }
    if (record.error == bad_key) {
      return Error{
          Status::invalid_argument,
          "the DNS server does not know " + key + "; add it to the server's configuration, with this algorithm",
          "BADKEY"};
    }
    if (record.error == bad_sig) {
      return Error{Status::invalid_argument,
                   "the DNS server has another secret for " + key + "; give both sides the same key file", "BADSIG"};
    }
    if (record.error == bad_trunc) {
      return Error{Status::invalid_argument, "the DNS server wants longer signatures with " + key, "BADTRUNC"};
    }
    return {};
  }

  static Error clock_error(const TsigRecord& record) {
    std::string detail = "BADTIME";
    if (record.other.size() == 6) {
      detail += ": the server's clock shows " + std::to_string(Reader(record.other).u48()) + ", the message said " +
                std::to_string(record.time_s) + " (seconds since 1970)";
    }
    return Error{Status::unavailable, std::string(clocks_differ), detail};
  }

  Names names_;
  std::shared_ptr<MacScheme> scheme_;
  TsigRules rules_;
  std::string previous_mac_;
  std::string pending_;  ///< unsigned messages since the last signed one
  int unsigned_ = 0;
  bool first_ = true;
  bool key_forgotten_ = false;
};

class TsigAuthenticator final : public Authenticator {
 public:
  TsigAuthenticator(Names names, std::shared_ptr<MacScheme> scheme, TsigRules rules)
      : names_(std::move(names)), scheme_(std::move(scheme)), rules_(std::move(rules)) {}

  Result<std::unique_ptr<Verifier>> sign(std::string& message, std::uint64_t now_s) override {
    TsigRecord record;
    record.key_name = names_.key;
    record.algorithm = names_.algorithm;
    record.time_s = now_s;
    record.fudge_s = fudge_s;
    record.original_id = get_u16(message, 0);
    K4T_ASSIGN(record.mac, scheme_->make(message + variables(record)));
    message += encoded(record);
    set_u16(message, 10, static_cast<std::uint16_t>(get_u16(message, 10) + 1));
    if (message.size() > message_limit_bytes) {
      return Error{Status::invalid_argument, "the DNS message is larger than 65535 bytes with its signature", {}};
    }
    return std::unique_ptr<Verifier>(std::make_unique<TsigVerifier>(names_, scheme_, rules_, record.mac));
  }

 private:
  Names names_;
  std::shared_ptr<MacScheme> scheme_;
  TsigRules rules_;
};

}  // namespace

Result<std::unique_ptr<Authenticator>> make_tsig_authenticator(std::string_view key_name, std::string_view algorithm,
                                                               std::shared_ptr<MacScheme> scheme, TsigRules rules) {
  Names names;
  K4T_ASSIGN(names.key, name_to_wire(key_name));
  K4T_ASSIGN(names.algorithm, name_to_wire(algorithm));
  names.key_text = key_name;
  return std::unique_ptr<Authenticator>(
      std::make_unique<TsigAuthenticator>(std::move(names), std::move(scheme), std::move(rules)));
}

}  // namespace k4t::dnsupdate
