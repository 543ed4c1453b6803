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

/// Every name that a driver or a test has written below the cluster's domain.
std::vector<std::string> names_to_clear() {
  std::vector<std::string> labels{"_k4t", "_k4t-try", "_k4t-w-dns1", "_http._tcp.web"};
  for (int i = 0; i < 64; ++i) labels.push_back("_k4t-i-" + std::string(i < 10 ? "0" : "") + std::to_string(i));
  for (const char* label : {"web", "api", "old", "new", "mine", "else", "alias", "big"}) labels.emplace_back(label);
  return labels;
}

}  // namespace

void by_hand(const SambaServer& server, std::vector<du::Change> changes) {
  auto client = client_of(server, server.admin());
  const auto done = client.update({server.zone(), {}, std::move(changes)}, within_a_minute());
  if (!done) throw std::runtime_error(done.error().message + " / " + done.error().detail);
}

du::Change add(const std::string& name, std::uint16_t type, const std::string& value, std::uint32_t ttl_s) {
  return {du::Change::Kind::add, name, type, ttl_s, *du::make_rdata(type, value)};
}

du::Change remove(const std::string& name, std::uint16_t type) {
  return {du::Change::Kind::delete_rrset, name, type, 0, {}};
}

SambaServer& samba() {
  if (!shared) {
    shared = std::make_unique<SambaServer>();
    return *shared;
  }
  std::vector<du::Change> changes;
  for (const auto& label : names_to_clear()) {
    changes.push_back({du::Change::Kind::delete_name, label + "." + Handle::suffix, du::type::any, 0, {}});
  }
  by_hand(*shared, std::move(changes));
  return *shared;
}

}  // namespace k4t::dns_windows
