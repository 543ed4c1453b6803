#include "tls.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "k4t/secret_file.hpp"

namespace k4t::http {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t record_bytes = 16u << 10;  ///< a TLS record's payload has at most so many (RFC 8446 §5.1)
constexpr std::size_t names_shown_bytes = 300;

template <class T, void (*release)(T*)>
struct Releaser {
  void operator()(T* object) const { release(object); }
};
using Ssl = std::unique_ptr<SSL, Releaser<SSL, SSL_free>>;
using Key = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY, EVP_PKEY_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Releaser<GENERAL_NAMES, GENERAL_NAMES_free>>;
struct BioReleaser {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, BioReleaser>;

Error invalid(std::string message) { return {Status::invalid_argument, std::move(message), {}}; }
Error unavailable(std::string message) { return {Status::unavailable, std::move(message), {}}; }

std::string last_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason == nullptr ? "no reason given" : reason;
}

bool is_address(const std::string& text) {
  unsigned char ignored[16];
  return ::inet_pton(AF_INET, text.c_str(), ignored) == 1 || ::inet_pton(AF_INET6, text.c_str(), ignored) == 1;
}

/// Without a passphrase an encrypted key is an error, never a question on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) { return -1; }

std::string text_in(BIO* bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

/// As the certificate writes them: "DNS:node1.example.net, IP Address:192.0.2.11".
std::string names_of(const X509* certificate) {
  const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  const Bio text(BIO_new(BIO_s_mem()));
  for (int n = 0; n < sk_GENERAL_NAME_num(names.get()); ++n) {
    if (n > 0) BIO_puts(text.get(), ", ");
    GENERAL_NAME_print(text.get(), sk_GENERAL_NAME_value(names.get(), n));
  }
  const auto shown = text_in(text.get()).substr(0, names_shown_bytes);
  return shown.empty() ? "no name at all" : shown;
}

std::string time_of(const ASN1_TIME* time) {
  const Bio text(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(text.get(), time);
  return text_in(text.get());
}

/// What did not please in the server's certificate. OpenSSL forgets the certificate where it refuses it.
struct Doubt {
  int code = X509_V_OK;
  std::string about;
};

std::string about(int code, X509_STORE_CTX* store) {
  const X509* now = X509_STORE_CTX_get_current_cert(store);
  const X509* server = X509_STORE_CTX_get0_cert(store);
  if (code == X509_V_ERR_CERT_HAS_EXPIRED && now != nullptr) return time_of(X509_get0_notAfter(now));
  if (code == X509_V_ERR_CERT_NOT_YET_VALID && now != nullptr) return time_of(X509_get0_notBefore(now));
  return server == nullptr ? std::string() : names_of(server);
}

int note_doubt(int fine, X509_STORE_CTX* store) {
  if (fine == 1) return fine;
  const auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const int code = X509_STORE_CTX_get_error(store);
  *static_cast<Doubt*>(SSL_get_app_data(ssl)) = {code, about(code, store)};
  return fine;
}

std::string words_for(const Doubt& doubt, const Tls& tls, const std::string& expected) {
  switch (doubt.code) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "its certificate is for " + doubt.about + " and not for " + expected +
             ": if that is the right server, set server_name to a name in the certificate, else give it one for " +
             expected;
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "its certificate, or that of an authority above it, expired on " + doubt.about + ": renew it";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "its certificate is not valid before " + doubt.about + ": compare the clocks of both machines";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "its certificate is not from the authority in " + tls.ca_file +
             ": either somebody is in between, or the file is another server's";
    default: return std::string("its certificate is refused: ") + X509_verify_cert_error_string(doubt.code);
  }
}

/// What the server says of the certificate that it asked us for, in an alert (RFC 8446 §6.2).
std::string words_for_own(int reason, const Tls& tls) {
  if (tls.cert_file.empty()) return "it asks for a client certificate, and none is configured";
  const std::string refused = "it refuses the client certificate " + tls.cert_file;
  if (reason == SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED) return refused + " as expired: renew it";
  return refused + " (" + last_reason() +
         "): it must be valid, from the authority that the server trusts, and for clients";
}

bool is_about_own(int reason) {
  switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:  // TLS 1.2's word for a certificate that is missing
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR: return true;
    default: return false;
  }
}

std::string words_for(int reason) {
  switch (reason) {
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL: return "it does not speak TLS 1.2 or later";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_RECORD_LENGTH_MISMATCH:
      return "what answers there does not speak TLS: check the port, or make the server use TLS";
    default: return "TLS failed: " + last_reason();
  }
}

/// The server asks for our certificate.
int note_asked(SSL* /*ssl*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return 1;
}

/// TLS over another stream: OpenSSL sees two buffers in memory, and this moves bytes between them and the stream.
class TlsStream final : public transport::Stream {
 public:
  TlsStream(Ssl ssl, std::unique_ptr<transport::Stream> under, const Tls& tls)
      : ssl_(std::move(ssl)), under_(std::move(under)), tls_(tls) {
    SSL_set_app_data(ssl_.get(), &doubt_);
    SSL_set_cert_cb(ssl_.get(), note_asked, &asked_);
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
  }

  Result<void> shake_hands(const std::string& expected, milliseconds timeout) {
    const auto until = Clock::now() + timeout;
    for (;;) {
      ERR_clear_error();
      const int code = SSL_do_handshake(ssl_.get());
      const int why = SSL_get_error(ssl_.get(), code);
      const auto failure = code == 1 || why == SSL_ERROR_WANT_READ ? Error{} : refusal(expected);
      const auto flushed = flush(until);  // also where it failed: the server is told why
      if (code != 1 && why != SSL_ERROR_WANT_READ) return failure;
      if (!flushed) return flushed.error();
      if (code == 1) return {};
      const auto received = receive(until);
      if (!received && received.status() == Status::deadline) return unavailable("no TLS handshake in time");
      if (!received) return received.error();
    }
  }

  Result<std::string> read(std::size_t limit_bytes, milliseconds timeout) override {
    const auto until = Clock::now() + timeout;
    std::string bytes(std::clamp<std::size_t>(limit_bytes, 1, record_bytes), '\0');
    for (;;) {
      ERR_clear_error();
      std::size_t got = 0;
      const int code = SSL_read_ex(ssl_.get(), bytes.data(), bytes.size(), &got);
      bytes.resize(code == 1 ? got : bytes.size());
      if (code == 1) return bytes;
      const int why = SSL_get_error(ssl_.get(), code);
      if (why == SSL_ERROR_ZERO_RETURN) return std::string();
      if (why != SSL_ERROR_WANT_READ) return refusal({});
      K4T_TRY(flush(until));
      K4T_TRY(receive(until));
    }
  }

  Result<void> write(std::string_view bytes, milliseconds timeout) override {
    ERR_clear_error();
    std::size_t taken = 0;
    if (!bytes.empty() && SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &taken) != 1) return refusal({});
    auto flushed = flush(Clock::now() + timeout);
    if (flushed || flushed.status() != Status::unavailable) return flushed;
    // A server that refuses our certificate says so and hangs up, which may come between the handshake and this.
    const auto said = read(1, milliseconds(0));
    return !said && said.status() == Status::unavailable ? said.error() : flushed.error();
  }

  Result<void> close_write() override {
    SSL_shutdown(ssl_.get());
    K4T_TRY(flush(Clock::now() + std::chrono::seconds(1)));
    return under_->close_write();
  }

 private:
  static milliseconds left(Clock::time_point until) {
    return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(until - Clock::now()));
  }

  Result<void> flush(Clock::time_point until) {
    BIO* out = SSL_get_wbio(ssl_.get());
    const std::string bytes = text_in(out);
    BIO_reset(out);
    return bytes.empty() ? Result<void>{} : under_->write(bytes, left(until));
  }

  Result<void> receive(Clock::time_point until) {
    K4T_ASSIGN(const auto bytes, under_->read(record_bytes, left(until)));
    // Without TLS's own end of the stream nobody knows whether more was to come.
    if (bytes.empty()) return unavailable("the server closed the connection");
    BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
    return {};
  }

  [[nodiscard]] Error refusal(const std::string& expected) const {
    if (doubt_.code != X509_V_OK) return unavailable(words_for(doubt_, tls_, expected));
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    return unavailable(asked_ && is_about_own(reason) ? words_for_own(reason, tls_) : words_for(reason));
  }

  Ssl ssl_;
  std::unique_ptr<transport::Stream> under_;
  const Tls tls_;
  Doubt doubt_;
  bool asked_ = false;  ///< for our certificate
};

}  // namespace

TlsContext::TlsContext(Tls tls) : tls_(std::move(tls)), context_(SSL_CTX_new(TLS_client_method())) {}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const Tls& tls) {
  const std::shared_ptr<TlsContext> made(new TlsContext(tls));
  if (made->context_ == nullptr) return Error{Status::unavailable, "OpenSSL cannot begin: " + last_reason(), {}};
  SSL_CTX_set_min_proto_version(made->context_, TLS1_2_VERSION);
  SSL_CTX_set_verify(made->context_, SSL_VERIFY_PEER, note_doubt);
  SSL_CTX_set_default_passwd_cb(made->context_, no_passphrase);
  K4T_TRY(made->use_authorities());
  if (tls.cert_file.empty() != tls.key_file.empty()) return invalid("a certificate and its key go together");
  if (!tls.cert_file.empty()) K4T_TRY(made->use_certificate());
  return std::shared_ptr<const TlsContext>(made);
}

Result<void> TlsContext::use_authorities() const {
  ERR_clear_error();
  if (SSL_CTX_load_verify_file(context_, tls_.ca_file.c_str()) == 1) return {};
  return invalid("the authority's file " + tls_.ca_file + " cannot be used: it must hold certificates in PEM format (" +
                 last_reason() + ")");
}

Result<void> TlsContext::use_certificate() const {
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context_, tls_.cert_file.c_str()) != 1) {
    return invalid("the certificate " + tls_.cert_file + " cannot be used: it must be in PEM format (" + last_reason() +
                   ")");
  }
  K4T_ASSIGN(std::string text, read_secret_file(tls_.key_file, "private key", Readers::nobody));
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  OPENSSL_cleanse(text.data(), text.size());
  if (key == nullptr) {
    return invalid("the private key " + tls_.key_file +
                   " cannot be used: it is encrypted, damaged, or not in PEM format");
  }
  if (SSL_CTX_use_PrivateKey(context_, key.get()) == 1) return {};
  return invalid("the private key " + tls_.key_file + " does not belong to the certificate " + tls_.cert_file);
}

Result<std::unique_ptr<transport::Stream>> TlsContext::secure(std::unique_ptr<transport::Stream> stream,
                                                              const std::string& address, milliseconds timeout) const {
  const std::string expected = tls_.server_name.empty() ? address : tls_.server_name;
  Ssl ssl(SSL_new(context_));
  bool named = ssl != nullptr;
  if (named && is_address(expected)) {
    named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), expected.c_str()) == 1;
  } else if (named) {
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    named = !expected.empty() && SSL_set1_host(ssl.get(), expected.c_str()) == 1 &&
            SSL_set_tlsext_host_name(ssl.get(), expected.c_str()) == 1;
  }
  // Without a name any certificate of the authority would do, a client's too.
  if (!named) return invalid("'" + expected + "' is no name that a server's certificate could be for");
  auto secured = std::make_unique<TlsStream>(std::move(ssl), std::move(stream), tls_);
  K4T_TRY(secured->shake_hands(expected, timeout));
  return std::unique_ptr<transport::Stream>(std::move(secured));
}

}  // namespace k4t::http
