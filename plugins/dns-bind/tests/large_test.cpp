#include "bind_test.hpp"
#include "support/dns_proxy.hpp"

/// Large commits and what a wire can do to them, as far as it is BIND's own; dns_suite has the rest.

namespace k4t::dns_bind {
namespace {

using testing::BindServer;
using testing::DnsProxy;

class Large : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!BindServer::installed()) K4T_SKIP_OR_FAIL("BIND 9 with its tools is not installed");
    server_ = std::make_unique<BindServer>();
  }
  [[nodiscard]] Handle open_handle() const { return Handle(*server_, {{"message_limit_bytes", small_message_bytes}}); }
  std::unique_ptr<BindServer> server_;
};

TEST_F(Large, OldNamesAnswerUntilTheNewOnesDo) {
  Register now = at_version(1);
  open_handle().put({}, now, large_state(1));
  const auto target = at_version(2, "first.1");
  Handle dying = open_handle();
  ASSERT_TRUE(dying.prepare(now, target, large_state(2), large_state(1)));
  DiesAfter death(3);
  ASSERT_EQ(dying.commit(now, target, &death).status(), Status::deadline);
  EXPECT_EQ(server_->dig("h1000.k4t.example.net", "A"), "192.0.2.2");
  EXPECT_EQ(server_->dig("y1001.k4t.example.net", "A"), "192.0.2.1");
  EXPECT_NE(server_->dig("_k4t.k4t.example.net", "TXT").find(" first.1 from=1 chunk=3"), std::string::npos);
}

TEST_F(Large, ALargeChangeGoesInOneMessageWhereItFits) {
  Handle handle(*server_);
  std::vector<dns::RecordSet> records;
  for (int i = 0; i < 400; ++i) records.push_back(a_record("h" + std::to_string(1000 + i), {"192.0.2.1"}));
  ASSERT_TRUE(handle.prepare({}, at_version(1), state_of(records)));
  DiesAfter never(1000);
  ASSERT_TRUE(handle.commit({}, at_version(1), &never));
  EXPECT_EQ(never.total, 1U);
}

TEST_F(Large, TheFullestRecordSetsFit) {
  // 100 values of 255 bytes at a name of 253 characters: the largest step that can be.
  const std::string label(63, 'n');
  std::string name = label + "." + label + "." + label + "." + Handle::suffix;
  name = std::string(253 - name.size() - 1, 'm') + "." + name;
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.push_back(std::to_string(1000 + i) + std::string(251, 't'));
  const auto state = state_of({{name, dns::Type::txt, 5, texts}, a_record("web", {"192.0.2.1"})});
  Handle handle = open_handle();
  handle.put({}, at_version(1), state);
  EXPECT_EQ(handle.observe(Expected<dns::State>{at_version(1), state})->content, Content::clean);
}

class Wire : public Large {
 protected:
  [[nodiscard]] Handle through(const DnsProxy& proxy) const {
    return Handle(
        "127.0.0.1", proxy.port(),
        {{"key_file", server_->key_file()}, {"timeout_ms", 1000}, {"message_limit_bytes", small_message_bytes}});
  }
};

TEST_F(Wire, ACutTransferIsNotTakenForAnEmptyZone) {
  Handle(*server_).put({}, at_version(1), large_state(1));
  // The first answer is the register's, the next ones are the transfer's.
  int messages = 0;
  const DnsProxy proxy(server_->port(), [&](bool, std::string&) { return ++messages < 3; });
  Handle handle = through(proxy);
  EXPECT_EQ(handle.observe(Expected<dns::State>{at_version(1), large_state(1)}).status(), Status::unavailable);
}

TEST_F(Wire, AServerThatNeverAnswersCostsItsTimeoutAndACancelLess) {
  std::atomic<bool> over = false;
  const DnsProxy proxy(server_->port(), [&](bool, std::string&) {
    over.wait(false);
    return false;
  });
  Handle handle("127.0.0.1", proxy.port(), {{"key_file", server_->key_file()}, {"timeout_ms", 300}});
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(handle.observe().status(), Status::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  DiesAfter at_once(0);
  EXPECT_EQ(handle.commit({}, at_version(1), &at_once).status(), Status::deadline);
  over = true;
  over.notify_all();
}

}  // namespace
}  // namespace k4t::dns_bind
