#include "windows_test.hpp"

namespace k4t::dns_windows {
namespace {

namespace du = k4t::dnsupdate;

std::unique_ptr<SambaServer> shared;

/// Ends the server while the process still has its wits about it, not among static destructors.
class EndsServer final : public ::testing::Environment {
 public:
  void TearDown() override { shared.reset(); }
};
const auto* const ends_server = ::testing::AddGlobalTestEnvironment(new EndsServer);

du::Client client_of(const SambaServer& server, const testing::SambaAccount& account) {
  du::GssIdentity identity;
  identity.principal = account.name;
  identity.realm = server.realm();
  identity.keytab = account.keytab;
  identity.host = server.host();
  identity.kdc = {server.address(), server.kdc_port()};
  auto authenticator = du::make_gss_tsig(std::move(identity));
  if (!authenticator) throw std::runtime_error(authenticator.error().message);
  return {{server.address(), server.port()}, std::move(authenticator).value()};
}

du::Limits within_a_minute() { return {std::chrono::steady_clock::now() + std::chrono::minutes(1), {}}; }

}  // namespace

void by_hand(const SambaServer& server, std::vector<du::Change> changes) {
  auto client = client_of(server, server.admin());
  const auto done = client.update({server.zone(), {}, std::move(changes)}, within_a_minute());
  if (!done) throw std::runtime_error(done.error().message + " / " + done.error().detail);
}

namespace {

/// Takes away what an earlier test has left: what k4t wrote, as it would itself, and what else tests write.
void clear(const SambaServer& server) {
  Handle handle(server);
  const auto now = handle.observe();
  if (now && now->stored) handle.put(now->stored, at_version(now->stored->version + 1, "end.1"), state_of({}));
  std::vector<std::string> labels{"_k4t", "_k4t-try", "_k4t-w-dns1"};
  for (int i = 0; i < 64; ++i) labels.push_back("_k4t-i-" + std::string(i < 10 ? "0" : "") + std::to_string(i));
  for (const char* label : {"web", "api", "old", "new", "mine", "else", "alias", "big"}) labels.emplace_back(label);
  std::vector<du::Change> changes;
  for (const auto& label : labels) {
    changes.push_back({du::Change::Kind::delete_name, label + "." + Handle::suffix, du::type::any, 0, {}});
  }
  by_hand(server, std::move(changes));
}

}  // namespace

SambaServer& samba() {
  if (!shared) {
    shared = std::make_unique<SambaServer>();
  } else {
    clear(*shared);
  }
  return *shared;
}

}  // namespace k4t::dns_windows

namespace k4t::testing {
namespace {

/// The program's shared domain controller.
class Samba final : public DnsServerUnderTest {
 public:
  [[nodiscard]] DnsHandle open(const Json& options) const override { return dns_windows::Handle(server_, options); }
  void by_hand(std::vector<dnsupdate::Change> changes) const override {
    dns_windows::by_hand(server_, std::move(changes));
  }
  void start() override { server_.start(); }
  void stop() override { server_.stop(); }
  void kill() override { server_.kill(); }
  [[nodiscard]] std::uint16_t port() const override { return server_.port(); }
  [[nodiscard]] std::string dig(const std::string& name, const std::string& type) const override {
    return server_.dig(name, type);
  }
  [[nodiscard]] Traits traits() const override {
    Traits traits;
    traits.transfers = false;
    traits.empty_texts = false;
    traits.kill_stride = 5;
    traits.rounds = 20;
    traits.impatience = std::chrono::seconds(10);
    return traits;
  }

 private:
  SambaServer& server_ = dns_windows::samba();
};

}  // namespace

std::string server_under_test_missing() {
  return SambaServer::installed() ? std::string() : "Samba's AD domain controller is not installed";
}

std::unique_ptr<DnsServerUnderTest> server_under_test() { return std::make_unique<Samba>(); }

}  // namespace k4t::testing
