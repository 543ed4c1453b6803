#include "plugin/contract.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace k4t::plugin {
namespace {

TEST(Contract, RepliesAreJudgedByTheSchemaOfTheirKindAndMethod) {
  EXPECT_TRUE(check_reply("dns", "abort", Json::object()).empty());
  EXPECT_FALSE(check_reply("dns", "abort", Json::array()).empty());
  EXPECT_FALSE(check_reply("dns", "witness_read", Json::array()).empty());
  EXPECT_FALSE(check_reply("power", "list", Json::array()).empty());
}

TEST(Contract, WhatNoSchemaKnowsIsNotJudged) {
  EXPECT_TRUE(check_reply("dns", "dance", Json::array()).empty());
  EXPECT_TRUE(check_reply("tea", "abort", Json::array()).empty());
}

TEST(Contract, ManyThreadsMayAskForTheSameSchemaFirst) {
  constexpr std::size_t count = 8;
  std::size_t issues[count] = {};
  {
    std::vector<std::jthread> threads;
    for (auto& found : issues) {
      threads.emplace_back([&found] {
        for (const char* method : {"observe", "prepare", "commit", "abort"}) {
          found += check_reply("gateway", method, Json::array()).size();
        }
      });
    }
  }
  for (const auto found : issues) EXPECT_GE(found, 4U);
}

}  // namespace
}  // namespace k4t::plugin
