#include "kerberos.hpp"

#include <krb5/krb5.h>
#include <openssl/crypto.h>
#include <profile.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

#include "connection.hpp"
#include "k4t/secret_file.hpp"

namespace k4t::dnsupdate {
namespace {

constexpr std::uint64_t renewal_margin_s = 60;
constexpr std::int32_t clock_limit_s = 300;  // what Kerberos and TSIG servers tolerate

Error invalid(std::string message) { return Error{Status::invalid_argument, std::move(message), {}}; }

std::string text_of(krb5_context context, krb5_error_code code) {
  const char* raw = krb5_get_error_message(context, code);
  std::string text = raw != nullptr ? raw : "";
  krb5_free_error_message(context, raw);
  return text + " (" + std::to_string(code) + ")";
}

/// The configuration that our library contexts see instead of the machine's: nothing, except that every realm has a
/// Kerberos server. Its name is never looked up, because Library::send takes the message before; but without one the
/// library gives up.
long profile_values(void* /*data*/, const char* const* names, char*** values) {
  static std::string name = "kerberos.invalid";
  const std::array<std::string_view, 3> wanted{"realms", "", "kdc"};
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (names[i] == nullptr || (!wanted[i].empty() && wanted[i] != names[i])) return PROF_NO_RELATION;
  }
  *values = new char* [2] { name.data(), nullptr };
  return 0;
}

void free_profile_values(void* /*data*/, char** values) { delete[] values; }

/// 0 or a code of the library.
long make_context(krb5_context* context) {
  profile_vtable table{};
  table.minor_ver = 1;
  table.get_values = profile_values;
  table.free_values = free_profile_values;
  profile_t profile = nullptr;
  const long failed = profile_init_vtable(&table, nullptr, &profile);
  if (failed != 0) return failed;
  const auto code = krb5_init_context_profile(profile, 0, context);
  profile_release(profile);
  return code;
}

Error clocks_differ(const std::string& detail) {
  return Error{Status::unavailable,
               "the clocks of this machine and of the Kerberos server differ by more than 5 minutes; synchronise them",
               detail};
}

struct Password {
  std::string text;
  ~Password() { OPENSSL_cleanse(text.data(), text.size()); }
};

Result<void> read_password(const std::string& path, Password& password) {
  K4T_ASSIGN(password.text, read_secret_file(path, "password file"));
  const auto end = password.text.find_first_of("\r\n");
  if (end != std::string::npos) {
    OPENSSL_cleanse(password.text.data() + end, password.text.size() - end);
    password.text.resize(end);
  }
  if (password.text.empty() || password.text.find('\0') != std::string::npos) {
    return invalid("the first line of the password file " + path + " is no password");
  }
  return {};
}

}  // namespace

/// What MIT Kerberos gave us, and how it reaches the Kerberos server.
struct Tickets::Library {
  krb5_context context = nullptr;
  krb5_principal client = nullptr;
  krb5_principal server = nullptr;
  krb5_ccache cache = nullptr;
  Endpoint kdc;
  const Limits* limits = nullptr;      ///< of the call in progress
  std::optional<Error> not_reached{};  ///< why the last message got no answer

  Library() = default;
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() {
    if (context == nullptr) return;
    drop_cache();
    krb5_free_principal(context, client);
    krb5_free_principal(context, server);
    krb5_free_context(context);
  }

  void drop_cache() {
    if (cache != nullptr) krb5_cc_destroy(context, cache);
    cache = nullptr;
  }

  Result<std::string> ask(std::string_view message) const {
    K4T_ASSIGN(const auto connection, Connection::open(kdc, *limits, Framing::kerberos));
    K4T_TRY(connection->send(message, *limits));
    return connection->receive(*limits);
  }

  static krb5_error_code send(krb5_context context, void* data, const krb5_data* /*realm*/, const krb5_data* message,
                              krb5_data** /*new_message*/, krb5_data** reply) {
    auto& self = *static_cast<Library*>(data);
    auto answer = self.ask({message->data, message->length});
    if (!answer) {
      self.not_reached = answer.error();
      return KRB5_KDC_UNREACH;
    }
    krb5_data bytes{};
    bytes.data = answer->data();
    bytes.length = static_cast<unsigned>(answer->size());
    return krb5_copy_data(context, &bytes, reply);
  }
};

Tickets::Tickets(GssIdentity identity) : identity_(std::move(identity)), library_(std::make_unique<Library>()) {}
Tickets::~Tickets() = default;

Error Tickets::failure(std::int32_t code, const std::string& doing) const {
  const std::string account = "the account " + identity_.principal;
  const std::string detail = doing + ": " + text_of(library_->context, code);
  const auto error = [&](Status status, std::string message) { return Error{status, std::move(message), detail}; };
  const std::string kdc =
      "the Kerberos server " + identity_.kdc.address + " port " + std::to_string(identity_.kdc.port);
  if (library_->not_reached) {
    const Error& cause = *library_->not_reached;
    return Error{cause.status, kdc + ": " + cause.message, cause.detail};
  }
  switch (code) {
    case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
      return error(Status::invalid_argument, account + " does not exist in the realm " + identity_.realm +
                                                 "; correct the options principal and realm");
    case KRB5KDC_ERR_PREAUTH_FAILED:
    case KRB5KRB_AP_ERR_BAD_INTEGRITY:
      if (identity_.keytab.empty())
        return error(Status::invalid_argument,
                     "the password in " + identity_.password_file + " is not that of " + account);
      return error(Status::invalid_argument,
                   "the keytab " + identity_.keytab + " does not hold the current key of " + account +
                       ", whose password has been changed since it was exported; export it again");
    case KRB5KDC_ERR_ETYPE_NOSUPP:
      return error(Status::invalid_argument, "the Kerberos server has no key of " + account +
                                                 " of a type that we have; export the keytab again, "
                                                 "with AES keys");
    case KRB5KDC_ERR_CLIENT_REVOKED:
      return error(Status::invalid_argument, account + " is disabled, locked or expired; enable it again");
    case KRB5KDC_ERR_NAME_EXP:
      return error(Status::invalid_argument, account + " has expired; give it another date of expiry, or none");
    case KRB5KDC_ERR_KEY_EXP:
      return error(Status::invalid_argument, "the password of " + account +
                                                 " has expired; set a new one that does not expire, and export the "
                                                 "keytab again");
    case KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN:
      return error(Status::invalid_argument,
                   "the realm " + identity_.realm + " knows no service " + service() +
                       "; the option host must be the full host name of the DNS server, as its machine account has it");
    case KRB5KDC_ERR_WRONG_REALM:
    case KRB5_REALM_UNKNOWN:
      return error(Status::invalid_argument, kdc + " does not serve the realm " + identity_.realm +
                                                 "; correct the options realm and kdc_address");
    case KRB5KRB_AP_ERR_SKEW:
    case KRB5_KDCREP_SKEW: return clocks_differ(detail);
    default: return error(Status::unavailable, kdc + " gave us no ticket as " + identity_.principal);
  }
}

Result<std::unique_ptr<Tickets>> Tickets::open(GssIdentity identity) {
  if (identity.keytab.empty() == identity.password_file.empty()) {
    return invalid("give exactly one of the options keytab and password_file");
  }
  std::unique_ptr<Tickets> tickets(new Tickets(std::move(identity)));
  Library& library = *tickets->library_;
  const GssIdentity& who = tickets->identity_;
  const long begun = make_context(&library.context);
  if (begun != 0) return Error{Status::fatal, "MIT Kerberos cannot be initialised", std::to_string(begun)};
  library.kdc = who.kdc;
  krb5_set_kdc_send_hook(library.context, &Library::send, &library);
  if (krb5_set_default_realm(library.context, who.realm.c_str()) != 0) return invalid("the option realm is malformed");
  if (krb5_parse_name(library.context, who.principal.c_str(), &library.client) != 0) {
    return invalid("'" + who.principal + "' is no principal; write it as in k4t@" + who.realm);
  }
  if (krb5_parse_name(library.context, tickets->service().c_str(), &library.server) != 0) {
    return invalid("'" + who.host + "' is no host name; correct the option host");
  }
  if (who.keytab.empty()) {
    Password password;
    K4T_TRY(read_password(who.password_file, password));
  } else {
    K4T_TRY(tickets->check_keytab());
  }
  return tickets;
}

Result<void> Tickets::check_keytab() {
  K4T_ASSIGN(auto bytes, read_secret_file(identity_.keytab, "keytab"));
  OPENSSL_cleanse(bytes.data(), bytes.size());
  krb5_keytab keytab = nullptr;
  krb5_keytab_entry entry{};
  auto code = krb5_kt_resolve(library_->context, ("FILE:" + identity_.keytab).c_str(), &keytab);
  if (code == 0) {
    code = krb5_kt_get_entry(library_->context, keytab, library_->client, 0, 0, &entry);
    if (code == 0) krb5_free_keytab_entry_contents(library_->context, &entry);
    krb5_kt_close(library_->context, keytab);
  }
  if (code == 0) return {};
  if (code == KRB5_KT_NOTFOUND) {
    return invalid("the keytab " + identity_.keytab + " holds no key of " + identity_.principal +
                   "; export it for this principal, or correct the option principal");
  }
  return Error{Status::invalid_argument, "the keytab " + identity_.keytab + " cannot be used; export it again",
               text_of(library_->context, code)};
}

bool Tickets::expired(std::uint64_t now_s) const { return now_s + renewal_margin_s >= ends_s_; }

void Tickets::discard() {
  library_->drop_cache();
  ends_s_ = 0;
}

Result<void> Tickets::refresh(std::uint64_t now_s, const Limits& limits) {
  if (!expired(now_s)) return {};
  discard();
  library_->limits = &limits;
  library_->not_reached.reset();
  auto outcome = log_in();
  if (outcome) outcome = check_clock();
  if (outcome) outcome = get_service_ticket();
  library_->limits = nullptr;
  if (!outcome) discard();
  return outcome;
}

Result<void> Tickets::log_in() {
  krb5_context context = library_->context;
  krb5_get_init_creds_opt* options = nullptr;
  krb5_init_creds_context exchange = nullptr;
  krb5_keytab keytab = nullptr;
  krb5_creds creds{};
  Password password;
  if (identity_.keytab.empty()) K4T_TRY(read_password(identity_.password_file, password));
  // Step by step, and not by the calls that do it all: those try a second time with a wrong password, and domains lock
  // accounts for that.
  auto code = krb5_get_init_creds_opt_alloc(context, &options);
  if (code == 0) krb5_get_init_creds_opt_set_forwardable(options, 0);
  if (code == 0) {
    code = krb5_init_creds_init(context, library_->client, nullptr, nullptr, 0, options, &exchange);
  }
  if (code == 0 && identity_.keytab.empty()) {
    code = krb5_init_creds_set_password(context, exchange, password.text.c_str());
  } else if (code == 0) {
    code = krb5_kt_resolve(context, ("FILE:" + identity_.keytab).c_str(), &keytab);
    if (code == 0) code = krb5_init_creds_set_keytab(context, exchange, keytab);
  }
  if (code == 0) code = krb5_init_creds_get(context, exchange);
  if (code == 0) code = krb5_init_creds_get_creds(context, exchange, &creds);
  if (code == 0) code = krb5_cc_new_unique(context, "MEMORY", nullptr, &library_->cache);
  if (code == 0) code = krb5_cc_initialize(context, library_->cache, creds.client);
  if (code == 0) code = krb5_cc_store_cred(context, library_->cache, &creds);
  krb5_free_cred_contents(context, &creds);
  if (keytab != nullptr) krb5_kt_close(context, keytab);
  krb5_init_creds_free(context, exchange);
  krb5_get_init_creds_opt_free(context, options);
  if (code != 0) return failure(code, "logging in");
  char* name = nullptr;
  code = krb5_cc_get_full_name(context, library_->cache, &name);
  if (code != 0) return failure(code, "naming the ticket cache");
  cache_name_ = name;
  krb5_free_string(context, name);
  return {};
}

/// The library corrects its clock by the Kerberos server's, so the tickets would do; the signatures would not.
Result<void> Tickets::check_clock() const {
  krb5_int32 ahead_s = 0;
  krb5_int32 ahead_us = 0;
  const auto code = krb5_get_time_offsets(library_->context, &ahead_s, &ahead_us);
  if (code != 0 || std::abs(ahead_s) <= clock_limit_s) return {};
  return clocks_differ("the Kerberos server's clock is " + std::to_string(std::abs(ahead_s)) + " s " +
                       (ahead_s > 0 ? "ahead of" : "behind") + " ours");
}

Result<void> Tickets::get_service_ticket() {
  krb5_creds wanted{};
  wanted.client = library_->client;
  wanted.server = library_->server;
  krb5_creds* got = nullptr;
  const auto code = krb5_get_credentials(library_->context, 0, library_->cache, &wanted, &got);
  if (code != 0) return failure(code, "getting a ticket for " + service());
  ends_s_ = static_cast<std::uint32_t>(got->times.endtime);
  krb5_free_creds(library_->context, got);
  return {};
}

}  // namespace k4t::dnsupdate
