#include <ctime>
#include <filesystem>

#include "windows_test.hpp"

/// Accounts, tickets and clocks: each way in which Kerberos says no has an error of its own. On a real Samba.

namespace k4t::dns_windows {
namespace {

class Access : public OnSamba {
 protected:
  /// Why a handle with these options cannot observe.
  Error refusal(const Json& options) const {
    Handle handle(*server_, options);
    const auto outcome = handle.observe();
    EXPECT_FALSE(outcome);
    return outcome ? Error{} : outcome.error();
  }
  std::string refused_to_open(const Json& options) const {
    try {
      const Handle handle(*server_, options);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  }
  static Json of(const testing::SambaAccount& account) {
    return {{"principal", account.name}, {"keytab", account.keytab}};
  }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_F(Access, APasswordFileDoesAsWellAsAKeytab) {
  Handle handle(*server_, {{"keytab", nullptr}, {"password_file", server_->user().password_file}});
  handle.put({}, one_, web_);
  EXPECT_EQ(dig("web"), "192.0.2.1");
}

TEST_F(Access, NothingOfTheProcessOrTheMachineIsTouched) {
  const auto caches = [] {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator("/tmp")) {
      const auto name = entry.path().filename().string();
      if (name.starts_with("krb5cc") || name.starts_with("krb5_")) found.insert(name);
    }
    return found;
  };
  const auto before = caches();
  Handle(*server_).put({}, one_, web_);
  EXPECT_EQ(caches(), before);
  for (const char* variable : {"KRB5CCNAME", "KRB5_CONFIG", "KRB5_KTNAME"}) {
    EXPECT_EQ(std::getenv(variable), nullptr) << variable;
  }
}

TEST_F(Access, AnUnusableKeytabIsExplainedBeforeAnythingIsAsked) {
  EXPECT_TRUE(has(refused_to_open({{"keytab", "/nonexistent.keytab"}}), "cannot be opened"));
  EXPECT_TRUE(has(refused_to_open({{"principal", "nobody"}}), "holds no key of nobody@EXAMPLE.NET"));
  EXPECT_TRUE(has(refused_to_open({{"keytab", nullptr}}), "exactly one of"));
  EXPECT_TRUE(has(refused_to_open({{"password_file", server_->user().password_file}}), "exactly one of"));
  EXPECT_TRUE(has(refused_to_open({{"host", "dc1"}}), "no full host name"));
  EXPECT_TRUE(has(refused_to_open({{"host", "dc1.example.net\nx"}}), "no full host name"));
  EXPECT_TRUE(has(refused_to_open({{"zone", "example.org"}}), "not at or below the zone"));
  const testing::Scratch scratch;
  const auto no_keytab = scratch.write("text", "no keytab", 0600);
  EXPECT_TRUE(has(refused_to_open({{"keytab", no_keytab.string()}}), "cannot be used"));
  const auto open_to_all = scratch.write("open", testing::Scratch::read(server_->user().keytab), 0644);
  EXPECT_TRUE(has(refused_to_open({{"keytab", open_to_all.string()}}), "open to every user"));
}

TEST_F(Access, AWrongPasswordIsExplainedAndNeverQuoted) {
  const testing::Scratch scratch;
  const auto file = scratch.write("password", "not-the-password\n", 0600);
  const auto error = refusal({{"keytab", nullptr}, {"password_file", file.string()}});
  EXPECT_EQ(error.status, Status::invalid_argument);
  EXPECT_TRUE(has(error.message, "is not that of the account k4t@EXAMPLE.NET")) << error.message;
  EXPECT_FALSE(has(error.message + error.detail, "not-the-password"));
}

TEST_F(Access, AnUnknownAccountIsExplained) {
  const testing::Scratch scratch;
  const auto file = scratch.write("password", "some-password\n", 0600);
  const auto error = refusal({{"keytab", nullptr}, {"principal", "nobody"}, {"password_file", file.string()}});
  EXPECT_EQ(error.status, Status::invalid_argument);
  EXPECT_TRUE(has(error.message, "the account nobody@EXAMPLE.NET does not exist")) << error.message;
}

TEST_F(Access, AKeytabOlderThanThePasswordIsExplained) {
  const auto account = server_->add_user("outdated");
  ASSERT_EQ(server_->tool({"user", "setpassword", "outdated", "--newpassword=An0ther.pass-word"}).exit_code, 0);
  const auto error = refusal(of(account));
  EXPECT_EQ(error.status, Status::invalid_argument);
  EXPECT_TRUE(has(error.message, "does not hold the current key")) << error.message << error.detail;
  EXPECT_TRUE(has(error.message, "export it again")) << error.message;
}

TEST_F(Access, ADisabledAndAnExpiredAccountAreExplained) {
  const auto disabled = server_->add_user("disabled");
  ASSERT_EQ(server_->tool({"user", "disable", "disabled"}).exit_code, 0);
  auto error = refusal(of(disabled));
  EXPECT_EQ(error.status, Status::invalid_argument);
  EXPECT_TRUE(has(error.message, "disabled, locked or expired")) << error.message << error.detail;
  const auto expired = server_->add_user("expired");
  ASSERT_EQ(server_->tool({"user", "setexpiry", "expired", "--days=-1"}).exit_code, 0);
  error = refusal(of(expired));
  EXPECT_EQ(error.status, Status::invalid_argument);
  EXPECT_TRUE(has(error.message, "expired")) << error.message << error.detail;
}

TEST_F(Access, AnExpiredPasswordIsExplained) {
  const auto account = server_->add_user("must-change");
  ASSERT_EQ(server_->tool({"user", "setexpiry", "must-change", "--days=10"}).exit_code, 0);
  ASSERT_EQ(server_
                ->tool({"user", "setpassword", "must-change", "--newpassword=Pass-word.of.must-change.1",
                        "--must-change-at-next-login"})
                .exit_code,
            0);
  const auto error =
      refusal({{"principal", "must-change"}, {"keytab", nullptr}, {"password_file", account.password_file}});
  EXPECT_EQ(error.status, Status::invalid_argument);
  EXPECT_TRUE(has(error.message, "the password of the account must-change@EXAMPLE.NET has expired"))
      << error.message << error.detail;
}

TEST_F(Access, AnotherHostOrRealmThanTheServersIsExplained) {
  auto error = refusal({{"host", "dc9.example.net"}});
  EXPECT_EQ(error.status, Status::invalid_argument);
  EXPECT_TRUE(has(error.message, "knows no service DNS/dc9.example.net")) << error.message << error.detail;
  const testing::Scratch scratch;
  const auto file = scratch.write("password", "some-password\n", 0600);
  error = refusal({{"keytab", nullptr}, {"password_file", file.string()}, {"realm", "EXAMPLE.ORG"}});
  EXPECT_TRUE(has(error.message, "does not exist in the realm EXAMPLE.ORG")) << error.message << error.detail;
}

TEST_F(Access, ATicketForAnotherMachineIsRefusedByTheServer) {
  const auto other = server_->add_user("other-server");
  ASSERT_EQ(server_->tool({"spn", "add", "DNS/other.example.net", other.name}).exit_code, 0);
  const auto error = refusal({{"host", "other.example.net"}});
  EXPECT_EQ(error.status, Status::unavailable);
  EXPECT_TRUE(has(error.message, "did not accept the Kerberos ticket")) << error.message << error.detail;
}

TEST_F(Access, AKerberosServerThatDoesNotAnswerIsNamed) {
  const auto error = refusal({{"kdc_port", testing::free_port()}});
  EXPECT_EQ(error.status, Status::unavailable);
  EXPECT_TRUE(has(error.message, "the Kerberos server 127.0.0.1 port")) << error.message;
}

TEST_F(Access, AKerberosServerThatHangsCostsItsTimeoutAndNoMore) {
  Handle handle(*server_, {{"timeout_ms", 500}});
  server_->freeze();
  const auto begun = std::chrono::steady_clock::now();
  const auto outcome = handle.observe();
  server_->thaw();
  EXPECT_EQ(outcome.status(), Status::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  EXPECT_TRUE(handle.observe());
}

TEST_F(Access, ClocksThatDifferByMoreThanFiveMinutesAreExplained) {
  Handle before(*server_);
  ASSERT_TRUE(before.observe());
  server_->stop();
  server_->start(std::chrono::minutes(10));
  auto error = refusal(Json::object());
  EXPECT_EQ(error.status, Status::unavailable);
  EXPECT_TRUE(has(error.message, "clocks")) << error.message << error.detail;
  EXPECT_TRUE(has(error.message, "synchronise them")) << error.message;
  // A handle that has its tickets already notices by the signatures.
  const auto with_ticket = before.observe();
  EXPECT_EQ(with_ticket.status(), Status::unavailable);
  server_->stop();
  server_->start(std::chrono::minutes(2));
  EXPECT_TRUE(Handle(*server_).observe()) << "two minutes are tolerated";
  server_->stop();
  server_->start();
  EXPECT_TRUE(before.observe());
}

TEST_F(Access, AnAccountThatMayNotWriteIsToldSoAndChangesNothing) {
  Handle(*server_).put({}, one_, web_);
  const auto stranger = server_->add_user("stranger");
  Handle handle(*server_, of(stranger));
  EXPECT_EQ(handle.observe()->stored, one_) << "reading needs no rights";
  const auto refused = handle.prepare(one_, two_, state_of({}));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(has(refused.error().message, "let the account stranger@EXAMPLE.NET create, change and delete"))
      << to_string(refused.error().status) << refused.error().message << refused.error().detail;
  EXPECT_EQ(dig("web"), "192.0.2.1");
  EXPECT_EQ(dig("_k4t", "TXT"), "\"1 test 1 " + one_.txn + " run0.1\"");
}

TEST_F(Access, UpdatesWithoutASignatureAreRefused) {
  dnsupdate::Client unsigned_client({server_->address(), server_->port()}, nullptr);
  const auto refused =
      unsigned_client.update({server_->zone(), {}, {add("web.k4t.example.net", dnsupdate::type::a, "192.0.2.1")}},
                             {std::chrono::steady_clock::now() + std::chrono::seconds(20), {}});
  EXPECT_EQ(refused.status(), Status::invalid_argument) << refused.error().message;
  EXPECT_EQ(dig("web"), "");
}

TEST_F(Access, AContextThatTheServerHasForgottenIsNegotiatedAgain) {
  Handle first(*server_);
  ASSERT_TRUE(first.prepare({}, one_, web_));
  // Samba keeps the last 128 contexts.
  for (int i = 0; i < 130; ++i) ASSERT_TRUE(Handle(*server_).observe());
  const auto committed = first.commit({}, one_);
  ASSERT_TRUE(committed) << committed.error().message << committed.error().detail;
  EXPECT_EQ(dig("web"), "192.0.2.1");
}

/// Lets a test end the life of what was negotiated.
class EndsAtWill final : public dnsupdate::Authenticator {
 public:
  EndsAtWill(std::unique_ptr<dnsupdate::Authenticator> inner, int& negotiations, const bool& over)
      : inner_(std::move(inner)), negotiations_(negotiations), over_(over) {}
  Result<void> negotiate(const Ask& ask, const dnsupdate::Limits& limits) override {
    ++negotiations_;
    return inner_->negotiate(ask, limits);
  }
  [[nodiscard]] bool expired(std::uint64_t now_s) const override { return over_ || inner_->expired(now_s); }
  Result<std::unique_ptr<dnsupdate::Verifier>> sign(std::string& message, std::uint64_t now_s) override {
    return inner_->sign(message, now_s);
  }

 private:
  std::unique_ptr<dnsupdate::Authenticator> inner_;
  int& negotiations_;
  const bool& over_;
};

TEST_F(Access, AContextLivesAsLongAsItsTicketAndIsThenNegotiatedAgain) {
  dnsupdate::GssIdentity identity{server_->user().name,   server_->realm(),
                                  server_->user().keytab, {},
                                  server_->host(),        {server_->address(), server_->kdc_port()}};
  auto made = dnsupdate::make_gss_tsig(std::move(identity));
  ASSERT_TRUE(made);
  const dnsupdate::Authenticator& tickets = **made;
  int negotiations = 0;
  bool over = false;
  dnsupdate::Client client({server_->address(), server_->port()},
                           std::make_unique<EndsAtWill>(std::move(made).value(), negotiations, over));
  const auto asks = [&] {
    return client
        .query({server_->zone(), dnsupdate::type::soa},
               {std::chrono::steady_clock::now() + std::chrono::minutes(1), {}})
        .ok();
  };
  ASSERT_TRUE(asks());
  ASSERT_TRUE(asks());
  EXPECT_EQ(negotiations, 1) << "one context for one connection";
  const auto now_s = static_cast<std::uint64_t>(std::time(nullptr));
  EXPECT_FALSE(tickets.expired(now_s + 9 * 3600)) << "Samba's tickets live for ten hours";
  EXPECT_TRUE(tickets.expired(now_s + 10 * 3600));
  over = true;
  ASSERT_TRUE(asks());
  EXPECT_EQ(negotiations, 2);
}

}  // namespace
}  // namespace k4t::dns_windows
