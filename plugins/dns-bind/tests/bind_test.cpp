#include "bind_test.hpp"

#include "support/dns_suite/dns_suite.hpp"

namespace k4t::testing {
namespace {

class Bind final : public DnsServerUnderTest {
 public:
  [[nodiscard]] DnsHandle open(const Json& options) const override { return dns_bind::Handle(server_, options); }
  void by_hand(std::vector<dnsupdate::Change> changes) const override {
    auto key = dnsupdate::read_tsig_key(server_.admin_file());
    dnsupdate::Client client({server_.address(), server_.port()}, dnsupdate::make_tsig(std::move(key).value()));
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    const auto done = client.update({server_.zone(), {}, std::move(changes)}, {until, {}});
    if (!done) throw std::runtime_error(done.error().message + " / " + done.error().detail);
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
    traits.small_messages = {{"message_limit_bytes", dns_bind::small_message_bytes}};
    return traits;
  }

 private:
  BindServer server_;
};

}  // namespace

std::string server_under_test_missing() {
  return BindServer::installed() ? std::string() : "BIND 9 with its tools is not installed";
}

std::unique_ptr<DnsServerUnderTest> server_under_test() { return std::make_unique<Bind>(); }

}  // namespace k4t::testing
