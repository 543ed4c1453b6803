#pragma once

#include <memory>

#include "k4t/gsstsig.hpp"
#include "support/dns_suite/dns_suite.hpp"
#include "support/samba_server.hpp"
#include "windows_driver.hpp"

namespace k4t::dns_windows {

using testing::a_record;
using testing::add;
using testing::at_version;
using testing::DiesAfter;
using testing::large_state;
using testing::remove;
using testing::SambaServer;
using testing::state_of;

/// A handle on the domain controller, as its ordinary user unless the options say otherwise. Option null: left out.
class Handle : public testing::DnsHandle {
 public:
  explicit Handle(const SambaServer& server, const Json& options = Json::object())
      : DnsHandle(open, server.address(), with_defaults(server, options)) {}

 private:
  static Json with_defaults(const SambaServer& server, const Json& options) {
    Json all{{"host", server.host()},
             {"principal", server.user().name},
             {"keytab", server.user().keytab},
             {"kdc_port", server.kdc_port()},
             {"port", server.port()},
             {"zone", server.zone()},
             {"timeout_ms", 10000}};
    all.update(options);
    std::erase_if(all.get_ref<Json::object_t&>(), [](const auto& option) { return option.second.is_null(); });
    return all;
  }
};

/// The domain controller that all tests of this program share, running. Nothing that an earlier test left below the
/// cluster's domain is there any more.
SambaServer& samba();

/// Somebody else who changes the zone: a domain administrator.
void by_hand(const SambaServer& server, std::vector<dnsupdate::Change> changes);

class OnSamba : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!SambaServer::installed()) K4T_SKIP_OR_FAIL("Samba's AD domain controller is not installed");
    server_ = &samba();
  }
  [[nodiscard]] std::string dig(const std::string& label, const std::string& type = "A") const {
    return server_->dig(label + "." + Handle::suffix, type);
  }
  SambaServer* server_ = nullptr;
  const Register one_ = at_version(1);
  const Register two_ = at_version(2, "run0.2");
  const dns::State web_ = state_of({a_record("web", {"192.0.2.1"})});
};

}  // namespace k4t::dns_windows
