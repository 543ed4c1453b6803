#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/real_cluster.hpp"
#include "support/traffic.hpp"

/// One life of a cluster over every ordered pair of gateways and of DNS servers, of whatever vendors, and over the odd
/// numbers: k4t promises the same whatever it speaks to.

namespace k4t::testing {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Pair;

struct Make {
  std::vector<std::string> gateways;
  std::vector<std::string> dns;
};

std::string name_of(const ::testing::TestParamInfo<Make>& info) {
  std::string name;
  for (const auto& kind : info.param.gateways) name += kind + "_";
  name += info.param.gateways.empty() ? "no_gateway_before" : "before";
  for (const auto& kind : info.param.dns) name += "_" + kind;
  return name;
}

std::vector<std::vector<std::string>> pairs_of(const std::vector<std::string>& kinds) {
  std::vector<std::vector<std::string>> pairs;
  for (const auto& first : kinds) {
    for (const auto& second : kinds) pairs.push_back({first, second});
  }
  return pairs;
}

std::vector<Make> all_makes() {
  std::vector<Make> makes;
  for (const auto& gateways : pairs_of({"nginx", "haproxy"})) {
    for (const auto& dns : pairs_of({"bind", "samba"})) makes.push_back({gateways, dns});
  }
  for (const auto& gateways : std::vector<std::vector<std::string>>{
           {}, {"nginx"}, {"haproxy"}, {"nginx", "haproxy", "nginx"}, {"haproxy", "nginx", "haproxy"}}) {
    makes.push_back({gateways, {"bind"}});
  }
  return makes;
}

class Pairs : public ::testing::TestWithParam<Make> {
 protected:
  void SetUp() override {
    RealClusterOptions options;
    options.gateways = GetParam().gateways;
    options.dns = GetParam().dns;
    if (const auto why = RealCluster::missing(options); !why.empty()) K4T_SKIP_OR_FAIL(why);
    cluster_ = std::make_unique<RealCluster>(options);
  }

  [[nodiscard]] std::size_t gateways() const { return GetParam().gateways.size(); }

  void want(unsigned replicas, const std::string& greeting) {
    cluster_->web(replicas, greeting);
    std::string text = Scratch::read(cluster_->folder() / "services/web.toml");
    text.insert(text.find("stop_timeout"), "txt = [\"" + greeting + "\"]\n");
    cluster_->service("web", text);
  }

  void expect_exit(const RealCluster::Command& command, int code) {
    EXPECT_EQ(command.exit_code, code) << command.out << command.err;
  }

  /// Where clients find the service: through the gateways, or without any where its SRV records lead.
  std::vector<std::pair<std::string, std::uint16_t>> doors() {
    std::vector<std::pair<std::string, std::uint16_t>> found;
    for (std::size_t index = 0; index < gateways(); ++index) {
      found.emplace_back(RealCluster::gateway_address(index), cluster_->http_port());
    }
    if (!found.empty()) return found;
    std::istringstream records(cluster_->dns(0).dig("_http._tcp." + name(), "SRV"));
    std::string target;
    for (unsigned priority = 0, weight = 0, port = 0; records >> priority >> weight >> port >> target;) {
      found.emplace_back(cluster_->dns(0).dig(target, "A"), static_cast<std::uint16_t>(port));
    }
    return found;
  }

  void expect_serves(const std::string& greeting, std::size_t replicas, int version) {
    const auto all = doors();
    EXPECT_EQ(all.size(), gateways() > 0 ? gateways() : replicas);
    for (const auto& [address, port] : all) {
      EXPECT_THAT(cluster_->get_at(address, port, "web").body, HasSubstr(greeting + " from web")) << address;
    }
    std::string addresses;
    for (std::size_t index = 0; index < gateways(); ++index) {
      addresses += (index == 0 ? "" : "\n") + RealCluster::gateway_address(index);
    }
    for (std::size_t server = 0; server < GetParam().dns.size(); ++server) {
      EXPECT_EQ(cluster_->dns(server).dig(name(), "TXT"), "\"" + greeting + "\"") << server;
      EXPECT_EQ(cluster_->dns(server).dig(name(), "A"), gateways() > 0 ? addresses : "127.0.0.1") << server;
    }
    EXPECT_THAT(cluster_->served_versions(), Each(Pair(::testing::_, version)));
    EXPECT_EQ(cluster_->k4t({"ps", "-o", "json"}).json().size(), replicas);
  }

  /// A client for each gateway.
  std::vector<std::unique_ptr<Traffic>> clients() {
    std::vector<std::unique_ptr<Traffic>> all;
    for (std::size_t index = 0; index < gateways(); ++index) {
      all.push_back(std::make_unique<Traffic>([this, index] {
        const auto answer = cluster_->get(RealCluster::gateway_address(index), "web");
        return answer.status == 200 ? std::string() : std::to_string(answer.status) + " " + answer.body;
      }));
    }
    return all;
  }

  [[nodiscard]] static std::string name() { return std::string("web.") + RealCluster::domain; }

  std::unique_ptr<RealCluster> cluster_;
};

TEST_P(Pairs, LiveThroughDeploysAnAbsenceAndADeletion) {
  want(1, "one");
  expect_exit(cluster_->apply(), 0);
  expect_serves("one", 1, 1);

  auto asking = clients();
  want(1, "two");
  expect_exit(cluster_->apply(), 0);
  expect_serves("two", 1, 2);
  want(3, "two");
  expect_exit(cluster_->apply(), 0);
  expect_serves("two", 3, 3);
  want(2, "two");
  expect_exit(cluster_->apply(), 0);
  expect_serves("two", 2, 4);
  expect_exit(cluster_->apply(), 0);
  EXPECT_EQ(disturbance(asking), "");

  // The first member of each group that is not alone goes away, and returns.
  int version = 4;
  for (const std::string group : {"gw", "ns"}) {
    if ((group == "gw" ? gateways() : GetParam().dns.size()) < 2) continue;
    const std::string member = group + "1";
    const std::string greeting = "without-" + member;
    cluster_->stop_member(member);
    want(2, greeting);
    expect_exit(cluster_->apply(), 3);
    cluster_->start_member(member);
    expect_exit(cluster_->k4t({"sync"}), 0);
    expect_serves(greeting, 2, ++version);
  }

  expect_exit(cluster_->k4t({"delete", "web", "--yes"}), 0);
  for (std::size_t index = 0; index < gateways(); ++index) {
    EXPECT_NE(cluster_->get(RealCluster::gateway_address(index), "web").status, 200);
  }
  EXPECT_EQ(cluster_->dns(0).dig(name(), "A"), "");
  EXPECT_THAT(cluster_->served_versions(), Each(Pair(::testing::_, version + 1)));
}

INSTANTIATE_TEST_SUITE_P(Vendors, Pairs, ::testing::ValuesIn(all_makes()), name_of);

}  // namespace
}  // namespace k4t::testing
