#include "bind_test.hpp"
#include "k4t/conformance_gtest.hpp"

namespace k4t::dns_bind {
namespace {

std::string differs(const testing::BindServer& server, const dns::State& state) {
  for (const auto& set : state.records) {
    if (set.type != dns::Type::a) continue;
    const auto answer = server.dig(set.name, "A");
    if (answer != set.values.front()) return set.name + " answers '" + answer + "', not " + set.values.front();
  }
  return {};
}

TEST(Conformance, OfBindAsParticipantAndWitness) {
  if (!testing::BindServer::installed()) K4T_SKIP_OR_FAIL("BIND 9 with its tools is not installed");
  testing::BindServer server;
  const Handle handle(server);
  conformance::DnsSubject subject;
  subject.driver = &handle.callee();
  subject.capabilities = manifest().capabilities;
  subject.state = [](unsigned n) { return conformance::small_dns_state(Handle::suffix, n); };
  subject.differs = [&](const dns::State& state) { return differs(server, state); };
  subject.hooks.take_down = [&] { server.stop(); };
  subject.hooks.bring_up = [&] { server.start(); };
  subject.hooks.restart = [&] {
    server.kill();
    server.start();
  };
  subject.hooks.freeze = [&] { server.freeze(); };
  subject.hooks.thaw = [&] { server.thaw(); };
  subject.hooks.drift = [&] {
    server.update_by_hand({"update delete web.k4t.example.net A", "update add web.k4t.example.net 5 A 198.51.100.1"});
  };
  subject.hooks.open_another = [&] { return std::make_unique<testing::OwningCallee<Handle>>(Handle(server)); };
  K4T_EXPECT_CONFORMS(conformance::check_dns(subject));
}

}  // namespace
}  // namespace k4t::dns_bind
