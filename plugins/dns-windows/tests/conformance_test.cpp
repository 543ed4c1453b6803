#include "k4t/conformance_gtest.hpp"
#include "windows_test.hpp"

namespace k4t::dns_windows {
namespace {

using Conformance = OnSamba;

std::string differs(const SambaServer& server, const dns::State& state) {
  for (const auto& set : state.records) {
    if (set.type != dns::Type::a) continue;
    const auto answer = server.dig(set.name, "A");
    if (answer != set.values.front()) return set.name + " answers '" + answer + "', not " + set.values.front();
  }
  return {};
}

TEST_F(Conformance, OfSambaAsParticipantAndWitness) {
  const Handle handle(*server_);
  conformance::DnsSubject subject;
  subject.driver = &handle.callee();
  subject.capabilities = manifest().capabilities;
  subject.state = [](unsigned n) { return conformance::small_dns_state(Handle::suffix, n); };
  subject.differs = [&](const dns::State& state) { return differs(*server_, state); };
  subject.hooks.take_down = [&] { server_->stop(); };
  subject.hooks.bring_up = [&] { server_->start(); };
  subject.hooks.restart = [&] {
    server_->kill();
    server_->start();
  };
  subject.hooks.freeze = [&] { server_->freeze(); };
  subject.hooks.thaw = [&] { server_->thaw(); };
  subject.hooks.drift = [&] {
    by_hand(*server_, {remove("web.k4t.example.net", dnsupdate::type::a),
                       add("web.k4t.example.net", dnsupdate::type::a, "198.51.100.1", 5)});
  };
  subject.hooks.open_another = [&] { return std::make_unique<testing::OwningCallee<Handle>>(Handle(*server_)); };
  K4T_EXPECT_CONFORMS(conformance::check_dns(subject));
}

}  // namespace
}  // namespace k4t::dns_windows
