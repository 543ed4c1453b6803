#include "windows_test.hpp"

/// What is Samba's own in the participant contract; dns_suite has the rest.

namespace k4t::dns_windows {
namespace {

using Limits = OnSamba;

TEST_F(Limits, AnotherZoneThanTheServersIsNeverBlank) {
  Handle too_deep(*server_, {{"zone", "k4t.example.net"}});
  const auto outcome = too_deep.observe();
  ASSERT_EQ(outcome.status(), Status::invalid_argument);
  EXPECT_NE(outcome.error().message.find("zone example.net"), std::string::npos) << outcome.error().message;
}

TEST_F(Limits, ARecordSetTooLargeForOneUpdateIsRefusedByName) {
  Handle handle(*server_);
  std::vector<std::string> texts;
  for (int i = 0; i < 60; ++i) texts.push_back(std::to_string(1000 + i) + std::string(250, 't'));
  const auto refused = handle.prepare({}, one_, state_of({{"big.k4t.example.net", dns::Type::txt, 5, texts}}));
  ASSERT_EQ(refused.status(), Status::invalid_argument);
  EXPECT_NE(refused.error().message.find("big.k4t.example.net TXT"), std::string::npos) << refused.error().message;
  EXPECT_EQ(dig("_k4t-try", "TXT"), "");
}

}  // namespace
}  // namespace k4t::dns_windows
