#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <openssl/rand.h>

#include <array>
#include <chrono>
#include <utility>

#include "k4t/gsstsig.hpp"
#include "kerberos.hpp"
#include "tkey.hpp"
#include "tsig.hpp"
#include "wire.hpp"

namespace k4t::dnsupdate {
namespace {

constexpr int token_limit = 8;  // messages of one negotiation; Kerberos needs one, SPNEGO at most three
constexpr OM_uint32 wanted_flags = GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_INTEG_FLAG;
constexpr OM_uint32 needed_flags = GSS_C_MUTUAL_FLAG | GSS_C_INTEG_FLAG;

/// SPNEGO (RFC 4178), which Windows and Samba expect here.
gss_OID spnego() {
  static constexpr std::array<unsigned char, 6> bytes{0x2b, 0x06, 0x01, 0x05, 0x05, 0x02};
  static gss_OID_desc oid{bytes.size(), const_cast<unsigned char*>(bytes.data())};
  return &oid;
}

gss_buffer_desc view_of(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }

/// A buffer that GSS-API filled.
struct Buffer {
  gss_buffer_desc raw = GSS_C_EMPTY_BUFFER;
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    OM_uint32 minor = 0;
    gss_release_buffer(&minor, &raw);
  }
  [[nodiscard]] std::string text() const { return {static_cast<const char*>(raw.value), raw.length}; }
};

void append_status(std::string& text, OM_uint32 status, int type) {
  OM_uint32 more = 0;
  do {
    OM_uint32 minor = 0;
    Buffer line;
    if (GSS_ERROR(gss_display_status(&minor, status, type, GSS_C_NO_OID, &more, &line.raw))) return;
    text += (text.empty() ? "" : ": ") + line.text();
  } while (more != 0);
}

Error gss_error(const std::string& what, OM_uint32 major, OM_uint32 minor) {
  std::string detail;
  append_status(detail, major, GSS_C_GSS_CODE);
  append_status(detail, minor, GSS_C_MECH_CODE);
  return Error{Status::unavailable, what, detail};
}

/// One security context with the server, and signing under it.
class Context final : public MacScheme {
 public:
  Context() = default;
  ~Context() override {
    OM_uint32 minor = 0;
    if (context_ != GSS_C_NO_CONTEXT) gss_delete_sec_context(&minor, &context_, GSS_C_NO_BUFFER);
    if (credential_ != GSS_C_NO_CREDENTIAL) gss_release_cred(&minor, &credential_);
    if (server_ != GSS_C_NO_NAME) gss_release_name(&minor, &server_);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Takes the tickets from the cache and names the other side.
  Result<void> begin(const std::string& cache_name, const std::string& service) {
    gss_key_value_element_desc where{"ccache", cache_name.c_str()};
    const gss_key_value_set_desc store{1, &where};
    gss_OID_set_desc mechanisms{1, spnego()};
    OM_uint32 minor = 0;
    auto major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &mechanisms, GSS_C_INITIATE, &store,
                                       &credential_, nullptr, nullptr);
    if (GSS_ERROR(major)) return gss_error("GSS-API does not take the Kerberos ticket", major, minor);
    auto name = view_of(service);
    // A principal, not a host to be looked up: DNS must have no say in whom we trust.
    major = gss_import_name(&minor, &name, GSS_KRB5_NT_PRINCIPAL_NAME, &server_);
    if (GSS_ERROR(major)) return gss_error("GSS-API does not take the name " + service, major, minor);
    return {};
  }

  /// One step: `token` came from the server ("" at first); what it is to get goes to `reply`, maybe nothing.
  Result<void> step(std::string_view token, std::string& reply) {
    auto in = view_of(token);
    Buffer out;
    OM_uint32 minor = 0;
    OM_uint32 flags = 0;
    const auto major = gss_init_sec_context(&minor, credential_, &context_, server_, spnego(), wanted_flags, 0,
                                            GSS_C_NO_CHANNEL_BINDINGS, token.empty() ? GSS_C_NO_BUFFER : &in, nullptr,
                                            &out.raw, &flags, nullptr);
    if (GSS_ERROR(major)) {
      return gss_error("the DNS server could not prove by Kerberos that it is the one that the option host names",
                       major, minor);
    }
    complete_ = (major & GSS_S_CONTINUE_NEEDED) == 0;
    if (complete_ && (flags & needed_flags) != needed_flags) {
      return Error{Status::unavailable, "the DNS server negotiated a context that cannot sign or is not mutual", {}};
    }
    reply = out.text();
    return {};
  }
  [[nodiscard]] bool complete() const { return complete_; }

  Result<std::string> make(std::string_view bytes) override {
    auto in = view_of(bytes);
    Buffer mac;
    OM_uint32 minor = 0;
    const auto major = gss_get_mic(&minor, context_, GSS_C_QOP_DEFAULT, &in, &mac.raw);
    if (GSS_ERROR(major)) return gss_error("GSS-API does not sign", major, minor);
    return mac.text();
  }

  bool fits(std::string_view bytes, std::string_view mac) override {
    auto message = view_of(bytes);
    auto token = view_of(mac);
    OM_uint32 minor = 0;
    // Anything but plain success counts as wrong: an old or repeated token too.
    return gss_verify_mic(&minor, context_, &message, &token, nullptr) == GSS_S_COMPLETE;
  }

 private:
  gss_ctx_id_t context_ = GSS_C_NO_CONTEXT;
  gss_cred_id_t credential_ = GSS_C_NO_CREDENTIAL;
  gss_name_t server_ = GSS_C_NO_NAME;
  bool complete_ = false;
};

std::uint64_t unix_time_s() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

/// A name that no other client of this server has given to a context.
Result<std::string> new_key_name(const std::string& host) {
  std::array<unsigned char, 8> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    return Error{Status::fatal, "OpenSSL has no random numbers", {}};
  }
  constexpr std::string_view digits = "0123456789abcdef";
  std::string name;
  for (const unsigned byte : random) {
    name += digits[byte >> 4];
    name += digits[byte & 0xf];
  }
  return name + ".sig-" + host;
}

Result<std::uint16_t> new_id() {
  std::uint16_t id = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&id), sizeof id) == 1) return id;
  return Error{Status::fatal, "OpenSSL has no random numbers", {}};
}

class GssAuthenticator final : public Authenticator {
 public:
  explicit GssAuthenticator(std::unique_ptr<Tickets> tickets) : tickets_(std::move(tickets)) {}

  Result<void> negotiate(const Ask& ask, const Limits& limits) override {
    signer_.reset();
    const std::uint64_t now_s = unix_time_s();
    K4T_TRY(tickets_->refresh(now_s, limits));
    auto context = std::make_shared<Context>();
    K4T_TRY(context->begin(tickets_->cache_name(), tickets_->service()));
    K4T_ASSIGN(const auto key_name, new_key_name(tickets_->identity().host));
    auto agreed = agree(*context, key_name, now_s, ask);
    if (!agreed) {
      // The server may have changed its key since: the next attempt shall bring a new ticket.
      tickets_->discard();
      return agreed;
    }
    K4T_ASSIGN(signer_, make_tsig_authenticator(key_name, "gss-tsig", context, {true, how_to_grant()}));
    return {};
  }

  [[nodiscard]] bool expired(std::uint64_t now_s) const override { return tickets_->expired(now_s); }

  [[nodiscard]] std::string how_to_grant() const override {
    return "let the account " + tickets_->identity().principal +
           " create, change and delete records of the zone, and check that it owns those below the cluster's domain";
  }

  Result<std::unique_ptr<Verifier>> sign(std::string& message, std::uint64_t now_s) override {
    if (!signer_) return Error{Status::fatal, "nothing has been negotiated yet", {}};
    return signer_->sign(message, now_s);
  }

 private:
  /// The server's last answer is signed too (RFC 3645 §4.1.3); that need not be checked, since by then the token within
  /// has proved who it is, and every later answer is checked.
  static Result<void> agree(Context& context, const std::string& key_name, std::uint64_t now_s, const Ask& ask) {
    std::string token;
    for (int i = 0; i < token_limit; ++i) {
      std::string reply;
      K4T_TRY(context.step(token, reply));
      if (context.complete() && reply.empty()) return {};
      K4T_ASSIGN(const auto id, new_id());
      TkeyQuery query{id, key_name, std::move(reply), now_s};
      K4T_ASSIGN(auto message, encode_tkey(query));
      K4T_ASSIGN(const auto answer, ask(std::move(message)));
      K4T_ASSIGN(token, decode_tkey(answer, query));
      if (context.complete()) return {};
    }
    return Error{Status::unavailable, "the DNS server does not come to an end of the key negotiation", {}};
  }

  std::unique_ptr<Tickets> tickets_;
  std::unique_ptr<Authenticator> signer_;
};

}  // namespace

Result<std::unique_ptr<Authenticator>> make_gss_tsig(GssIdentity identity) {
  K4T_ASSIGN(auto tickets, Tickets::open(std::move(identity)));
  return std::unique_ptr<Authenticator>(std::make_unique<GssAuthenticator>(std::move(tickets)));
}

}  // namespace k4t::dnsupdate
