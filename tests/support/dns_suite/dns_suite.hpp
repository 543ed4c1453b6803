#pragma once

#include <memory>
#include <string>
#include <vector>

#include "k4t/dnsupdate.hpp"
#include "support/dns_handle.hpp"
#include "support/process.hpp"

/// The participant contract on a real DNS server of any vendor: life_test.cpp and chunks_test.cpp here are part of each
/// DNS driver's test program, which says what its server is by defining server_under_test().

namespace k4t::testing {

/// A vendor's server, authoritative for example.net, and the driver for it.
class DnsServerUnderTest {
 public:
  virtual ~DnsServerUnderTest() = default;

  /// A new handle; `options` go before what it is opened with otherwise.
  [[nodiscard]] virtual DnsHandle open(const Json& options = Json::object()) const = 0;
  /// Somebody else than k4t changes the zone.
  virtual void by_hand(std::vector<dnsupdate::Change> changes) const = 0;

  virtual void start() = 0;
  virtual void stop() = 0;
  virtual void kill() = 0;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  /// What dig(1) prints in short form, lines sorted.
  [[nodiscard]] virtual std::string dig(const std::string& name, const std::string& type) const = 0;

  /// What differs between vendors.
  struct Traits {
    bool transfers = true;                       ///< so that records nobody expects are seen
    bool empty_texts = true;                     ///< it takes TXT records without a byte
    Json small_messages = Json::object();        ///< options with which 1,000 names need more than ten messages
    std::uint64_t kill_stride = 1;               ///< a commit is killed after each of so many messages
    int rounds = 60;                             ///< of several masters
    std::chrono::milliseconds impatience{1000};  ///< time-out for answers that get lost
  };
  [[nodiscard]] virtual Traits traits() const = 0;
};

/// Why there is no server here; empty: there is.
std::string server_under_test_missing();

/// Running, and without anything of k4t in its zone. Belongs to the test that asked.
std::unique_ptr<DnsServerUnderTest> server_under_test();

dnsupdate::Change add(const std::string& name, std::uint16_t type, const std::string& value, std::uint32_t ttl_s = 60);
dnsupdate::Change remove(const std::string& name, std::uint16_t type);

class DnsSuite : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = server_under_test_missing(); !why.empty()) K4T_SKIP_OR_FAIL(why);
    server_ = server_under_test();
  }
  [[nodiscard]] std::string dig(const std::string& label, const std::string& type = "A") const {
    return server_->dig(label + "." + DnsHandle::suffix, type);
  }

  std::unique_ptr<DnsServerUnderTest> server_;
  const Register one_ = at_version(1);
  const Register two_ = at_version(2, "run0.2");
  const dns::State web_ = state_of({a_record("web", {"192.0.2.1"})});
};

}  // namespace k4t::testing
