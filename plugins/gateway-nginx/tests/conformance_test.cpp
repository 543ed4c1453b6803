#include "k4t/conformance_gtest.hpp"

#include <csignal>
#include <fstream>

#include "rig.hpp"

namespace k4t::nginx::testing {
namespace {

class Conformance : public Rig {};

/// A driver with its calling side, as one object.
class Owned final : public Callee {
 public:
  explicit Owned(std::unique_ptr<gateway::Driver> driver) : driver_(std::move(driver)), callee_(*driver_) {}
  Result<Json> call(std::string_view method, const JsonText& request, const CallOptions& options) override {
    return callee_.call(method, request, options);
  }

 private:
  std::unique_ptr<gateway::Driver> driver_;
  DirectCallee<gateway::Kind> callee_;
};

TEST_F(Conformance, NginxKeepsThePromisesOfAGateway) {
  Owned callee(open());
  conformance::GatewaySubject subject;
  subject.driver = &callee;
  subject.capabilities = manifest().capabilities;
  subject.state = [&](unsigned n) { return conformance::small_gateway_state(port_, n); };
  subject.hooks.take_down = [&] { nginx_.stop(); };
  subject.hooks.bring_up = [&] { nginx_.start(); };
  subject.hooks.restart = [&] { nginx_.restart(); };
  subject.hooks.freeze = [&] { nginx_.signal_all(SIGSTOP); };
  subject.hooks.thaw = [&] { nginx_.signal_all(SIGCONT); };
  subject.hooks.drift = [&] {
    std::ofstream(nginx_.folder() / "live/http.conf", std::ios::app) << "# tuned by hand\n";
  };
  subject.hooks.open_another = [&] { return std::make_unique<Owned>(open()); };
  K4T_EXPECT_CONFORMS(conformance::check_gateway(subject));
}

}  // namespace
}  // namespace k4t::nginx::testing
