#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "k4t/http.hpp"
#include "lab/cluster.hpp"
#include "support/traffic.hpp"

/// A cluster that speaks IPv6 only and has no gateway: DNS leads clients to the instances, which have addresses of
/// their own.

namespace k4t::testing::lab {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::uint16_t port = 8080;
constexpr auto ttl = 1s;  ///< of the cluster's records

/// A client as good ones are: it asks one DNS server, uses what it was told for as long as the TTL allows, all of it in
/// turn, and then asks again.
class Client {
 public:
  Client(Cluster& cluster, std::string server) : cluster_(cluster), server_(std::move(server)) {}

  std::string ask() {
    if (!there_) cluster_["client"].enter_network();
    there_ = true;
    if (Clock::now() >= until_) resolve();
    if (addresses_.empty()) return server_ + " names no instance";
    http::Client http({transport::local_host(), {}, addresses_[next_++ % addresses_.size()], port});
    http::Request request;
    request.headers["Host"] = std::string("web.") + Cluster::domain;
    request.headers["Connection"] = "close";
    request.timeout = 5s;
    const auto response = http.send(request);
    if (!response) return response.error().message;
    return response->status == 200 ? std::string() : std::to_string(response->status) + ": " + response->body;
  }

 private:
  void resolve() {
    const auto asked = Clock::now();
    const auto ran = testing::run(
        {"dig", "@" + server_, "+short", "+tries=1", "+time=2", std::string("web.") + Cluster::domain, "AAAA"});
    std::istringstream in(ran.exit_code == 0 ? ran.out : std::string());
    addresses_.clear();
    for (std::string line; std::getline(in, line);) addresses_.push_back(line);
    until_ = asked + ttl;
  }

  Cluster& cluster_;
  std::string server_;
  std::vector<std::string> addresses_;
  Clock::time_point until_{};
  std::size_t next_ = 0;
  bool there_ = false;
};

/// Costly, so that all cases share it; each leaves every machine on and every DNS server current.
class Ipv6Cluster : public ::testing::Test {
 protected:
  static void TearDownTestSuite() { shared.reset(); }

  void SetUp() override {
    if (const auto why = Cluster::missing(); !why.empty()) K4T_SKIP_OR_FAIL(why);
    if (shared == nullptr)
      shared = std::make_unique<Cluster>(ClusterOptions{.gateways = {}, .addresses = Addresses::ipv6});
  }

  static Cluster& cluster() { return *shared; }

  static Cluster::Command k4t(const std::vector<std::string>& arguments, int expected_exit_code = 0) {
    auto command = cluster().k4t(arguments);
    EXPECT_EQ(command.exit_code, expected_exit_code) << arguments.front() << '\n' << command.out << command.err;
    return command;
  }
  static void deploy(unsigned replicas, const std::string& greeting, int expected_exit_code = 0) {
    cluster().service(
        "web",
        "[[service]]\nname = \"web\"\nimage = \"app\"\nentrypoint = [\"/app\"]\ncommand = [\"http\", \"--listen\", "
        "\"::\"]\nreplicas = " +
            std::to_string(replicas) + "\nmemory = \"64MiB\"\nenv = { GREETING = \"" + greeting +
            "\" }\nstop_timeout = \"2s\"\n[[service.port]]\nname = \"http\"\nport = 8080\n"
            "[service.health]\nhttp = \"/healthz\"\nrise = 1\ndeadline = \"30s\"\n");
    k4t({"apply", "-f", "services", "--force"}, expected_exit_code);
  }

  static std::vector<std::string> names(const std::string& server) { return cluster().resolve(server, "web", "AAAA"); }
  static std::vector<std::string> addresses() {
    std::vector<std::string> all;
    for (const auto& one : k4t({"ps", "-o", "json"}).json()) all.push_back(one.at("address"));
    std::sort(all.begin(), all.end());
    return all;
  }
  static std::multiset<std::string> nodes() {
    std::multiset<std::string> all;
    for (const auto& one : k4t({"ps", "-o", "json"}).json()) all.insert(one.at("node"));
    return all;
  }
  /// Both DNS servers answer with the instances that run, and these with the greeting.
  static void expect_served(const std::string& greeting) {
    const auto running = addresses();
    for (const char* server : {"ns1", "ns2"}) EXPECT_EQ(names(server), running) << server;
    for (const auto& address : running) EXPECT_EQ(cluster().ask(address, port, "web", greeting), "") << address;
  }

  static std::unique_ptr<Traffic> load(const std::string& server) {
    return std::make_unique<Traffic>(
        [client = std::make_shared<Client>(cluster(), cluster()[server].address())] { return client->ask(); });
  }
  static void expect_undisturbed(Traffic& traffic) {
    EXPECT_TRUE(traffic.end_after(51)) << traffic.asked();
    EXPECT_EQ(traffic.failed(), 0U) << traffic.first_failure() << ", of " << traffic.asked();
  }

  static inline std::unique_ptr<Cluster> shared;
};

TEST_F(Ipv6Cluster, DnsLeadsToInstancesWithAddressesOfTheirOwn) {
  deploy(3, "one");
  expect_served("one from web");
  EXPECT_THAT(addresses(), Each(StartsWith("2001:db8:0:")));
  EXPECT_EQ(nodes().size(), 3U);
  EXPECT_THAT(cluster()["client"].run({"ip", "-4", "-brief", "address", "show", "scope", "global"}).out, IsEmpty())
      << "nothing here speaks IPv4";
  const auto instances = k4t({"ps", "-o", "json"}).json();
  std::vector<std::string> targets;
  for (const auto& one : instances) {
    const std::string name = one.at("instance").get<std::string>() + ".web";
    EXPECT_THAT(cluster().resolve("ns2", name, "AAAA"), ElementsAre(one.at("address").get<std::string>()));
    targets.push_back("0 0 8080 " + name + "." + Cluster::domain + ".");
  }
  std::sort(targets.begin(), targets.end());
  EXPECT_EQ(cluster().resolve("ns1", "_http._tcp.web", "SRV"), targets);
  EXPECT_THAT(k4t({"apply", "-f", "services"}).out, HasSubstr("Nothing to do."));
  EXPECT_THAT(k4t({"doctor"}).out, Not(HasSubstr("subnet")));
}

TEST_F(Ipv6Cluster, AnUpdateAndScalingLoseNoRequest) {
  deploy(3, "before");
  auto first = load("ns1");
  auto second = load("ns2");
  deploy(3, "after");
  deploy(5, "after");
  deploy(2, "after");
  expect_undisturbed(*first);
  expect_undisturbed(*second);
  EXPECT_EQ(addresses().size(), 2U);
  expect_served("after from web");
}

TEST_F(Ipv6Cluster, ADrainLosesNoRequest) {
  deploy(3, "drained");
  auto first = load("ns1");
  auto second = load("ns2");
  k4t({"node", "drain", "n2", "--yes"});
  EXPECT_EQ(nodes().count("n2"), 0U);
  expect_undisturbed(*first);
  expect_undisturbed(*second);
  EXPECT_EQ(addresses().size(), 3U);
  expect_served("drained from web");
  k4t({"node", "uncordon", "n2"});
}

TEST_F(Ipv6Cluster, ANodeThatDiesIsLeftOutOfTheAnswersByARepairAndTidiedUpWhenItReturns) {
  deploy(3, "repaired");
  cluster()["n3"].power_off();
  k4t({"repair", "--yes"});
  EXPECT_EQ(nodes().count("n3"), 0U);
  EXPECT_EQ(addresses().size(), 3U);
  expect_served("repaired from web");
  auto traffic = load("ns1");
  cluster()["n3"].power_on();
  k4t({"repair", "--yes"});
  expect_undisturbed(*traffic);
  EXPECT_EQ(addresses().size(), 3U);
  expect_served("repaired from web");
  EXPECT_THAT(k4t({"node", "show", "n3"}).out, HasSubstr("ready"));
}

TEST_F(Ipv6Cluster, ADnsServerThatIsCutOffAnswersOldInstancesUntilItHasCaughtUp) {
  deploy(2, "cut");
  cluster()["ns2"].unplug();
  deploy(2, "new", 3);
  EXPECT_EQ(names("ns1"), addresses());
  cluster()["ns2"].plug();
  k4t({"sync"});
  expect_served("new from web");
}

TEST_F(Ipv6Cluster, ANetworkThatIsNotThereIsToldWithItsNodeAndNothingIsPlacedThere) {
  deploy(3, "told");
  cluster().edit_config("subnet = \"2001:db8:0:13::/64\"", "subnet = \"2001:db8:0:1300::/64\"");
  const auto doctor = cluster().k4t({"doctor"});
  EXPECT_EQ(doctor.exit_code, 1);
  EXPECT_THAT(doctor.out, HasSubstr("has no network with the addresses of its subnet 2001:db8:0:1300::/64"));
  deploy(6, "told");
  EXPECT_EQ(nodes().count("n1"), 1U) << "what runs there stays";
  cluster().edit_config("subnet = \"2001:db8:0:1300::/64\"", "subnet = \"2001:db8:0:13::/64\"");
  deploy(3, "told");
}

}  // namespace
}  // namespace k4t::testing::lab
