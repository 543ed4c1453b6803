#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "k4t/ssh.hpp"
#include "k4t/transport.hpp"
#include "support/process.hpp"
#include "support/sshd_server.hpp"

namespace k4t::transport {

/// What a test needs to reach an SshdServer.
inline SshOptions options_for(const testing::SshdServer& sshd) {
  SshOptions options;
  options.identity = {sshd.identity()};
  options.known_hosts = sshd.known_hosts();
  return options;
}

/// One test for every way to reach a machine: over SSH it is this machine too, so that tests can look at it.
class HostTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (GetParam() == std::string("local")) {
      host = local_host();
      return;
    }
    if (!testing::SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed, or this is not root");
    sshd.emplace();
    sshd->start();
    host = another();
  }
  void TearDown() override { host.reset(); }

  /// Another handle of the same machine.
  [[nodiscard]] std::shared_ptr<Host> another() const {
    if (!sshd) return local_host();
    auto opened = ssh_host(sshd->url(), options_for(*sshd));
    EXPECT_TRUE(opened.ok());
    return *opened;
  }

  std::optional<testing::SshdServer> sshd;
  std::shared_ptr<Host> host;
};

#define K4T_EACH_HOST(SUITE)                                                \
  INSTANTIATE_TEST_SUITE_P(Hosts, SUITE, ::testing::Values("local", "ssh"), \
                           [](const auto& each) { return std::string(each.param); })

}  // namespace k4t::transport
