#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "k4t/http.hpp"
#include "lab/cluster.hpp"
#include "support/traffic.hpp"

/// A cluster without a gateway whose nodes are reached in three ways: n1 is behind a cloud's NAT, n2 has a public
/// address, and n3's instances have addresses of their own on the wire (macvlan). Clients look up SRV.

namespace k4t::testing::lab {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* public_address = "203.0.113.7";
constexpr unsigned ports = 20;
constexpr auto ttl = 1s;  ///< of the cluster's records

/// Where "web" is, as a client finds out by one question: "ADDRESS PORT" for each instance, sorted. The addresses come
/// with the answer (RFC 2782): asked for afterwards, a name may have gone.
std::vector<std::string> look_up(const std::string& server) {
  const auto ran = testing::run({"dig", "@" + server, "+noall", "+answer", "+additional", "+tries=1", "+time=2",
                                 std::string("_http._tcp.web.") + Cluster::domain, "SRV"});
  std::istringstream in(ran.exit_code == 0 ? ran.out : std::string());
  std::map<std::string, std::string> ports_of;
  std::vector<std::string> found;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    std::string skipped;
    std::string type;
    words >> name >> skipped >> skipped >> type;
    std::string port;
    std::string data;
    if (type == "SRV" && words >> skipped >> skipped >> port >> data) ports_of[data] = port;
    if (type == "A" && words >> data) found.push_back(data + " " + ports_of[name]);
  }
  EXPECT_EQ(found.size(), ports_of.size()) << ran.out;
  std::sort(found.begin(), found.end());
  return found;
}

Result<http::Response> get(const std::string& place) {
  std::istringstream words(place);
  std::string address;
  std::uint16_t port = 0;
  words >> address >> port;
  http::Client client({transport::local_host(), {}, address, port});
  http::Request request;
  request.headers["Connection"] = "close";
  request.timeout = 5s;
  return client.send(request);
}

/// Asks one DNS server, uses what it was told in turn for as long as the TTL allows, and asks again. In the client's
/// network.
class Client {
 public:
  explicit Client(std::string server) : server_(std::move(server)) {}

  std::string ask() {
    if (Clock::now() >= until_) {
      const auto asked = Clock::now();
      places_ = look_up(server_);
      until_ = asked + ttl;
    }
    if (places_.empty()) return server_ + " names no instance";
    const std::string& place = places_[next_++ % places_.size()];
    const auto response = get(place);
    if (!response) return place + ": " + response.error().message;
    return response->status == 200 ? std::string() : place + ": " + std::to_string(response->status);
  }

 private:
  std::string server_;
  std::vector<std::string> places_;
  Clock::time_point until_{};
  std::size_t next_ = 0;
};

class DirectCluster : public ::testing::Test {
 protected:
  static void TearDownTestSuite() { shared.reset(); }

  void SetUp() override {
    if (const auto why = Cluster::missing(); !why.empty()) K4T_SKIP_OR_FAIL(why);
    if (shared != nullptr) return;
    shared = std::make_unique<Cluster>(ClusterOptions{.gateways = {}});
    put_behind_nat();
    give_own_addresses();
  }

  static Cluster& cluster() { return *shared; }
  static std::string address(const std::string& machine) { return cluster()[machine].address(); }
  static std::string written(const std::string& node) { return "\naddress = \"" + address(node) + "\"\n"; }

  /// A machine that passes the public address's ports from 40000 on to n1's from 20000 on, as a cloud does.
  static void put_behind_nat() {
    Machine& nat = cluster().lab().add("nat");
    nat.must({"ip", "address", "add", std::string(public_address) + "/32", "dev", "eth0"});
    nat.must({"sysctl", "-qw", "net.ipv4.ip_forward=1"});
    for (unsigned i = 0; i < ports; ++i) {
      nat.must({"iptables", "-t", "nat", "-A", "PREROUTING", "-d", public_address, "-p", "tcp", "--dport",
                std::to_string(40000 + i), "-j", "DNAT", "--to-destination",
                address("n1") + ":" + std::to_string(20000 + i)});
    }
    nat.must({"iptables", "-t", "nat", "-A", "POSTROUTING", "-d", address("n1"), "-j", "MASQUERADE"});
    cluster()["client"].must({"ip", "route", "add", std::string(public_address) + "/32", "via", nat.address()});
    cluster().edit_config(written("n1"), written("n1") + "public_address = \"" + public_address +
                                             "\"\nports = \"20000-20019\"\npublic_ports = \"40000-40019\"\n");
  }

  /// As runtime-docker's README tells, with addresses of the wire that no machine has.
  static void give_own_addresses() {
    cluster()["n3"].must({"docker", "network", "create", "-d", "macvlan", "-o", "parent=eth0", "--subnet",
                          "192.0.2.0/24", "--ip-range", "192.0.2.192/26", "k4t"});
    cluster().edit_config(written("n3"), written("n3") + "options.network = \"k4t\"\nsubnet = \"192.0.2.192/26\"\n");
  }

  static Cluster::Command k4t(const std::vector<std::string>& arguments) {
    auto command = cluster().k4t(arguments);
    EXPECT_EQ(command.exit_code, 0) << arguments.front() << '\n' << command.out << command.err;
    return command;
  }
  static void deploy(unsigned replicas, const std::string& greeting) {
    cluster().service(
        "web",
        "[[service]]\nname = \"web\"\nimage = \"app\"\nentrypoint = [\"/app\"]\ncommand = [\"http\"]\nreplicas = " +
            std::to_string(replicas) + "\nmemory = \"64MiB\"\nenv = { GREETING = \"" + greeting +
            "\" }\nstop_timeout = \"2s\"\n[[service.port]]\nname = \"http\"\nport = 8080\n"
            "[service.health]\nhttp = \"/healthz\"\nrise = 1\ndeadline = \"30s\"\n");
    k4t({"apply", "-f", "services", "--force"});
  }

  /// What clients are told, which each DNS server says and where the greeting is answered.
  static std::vector<std::string> expect_served(const std::string& greeting) {
    std::vector<std::string> places;
    std::thread client([&] {
      cluster()["client"].enter_network();
      places = look_up(address("ns1"));
      EXPECT_EQ(places, look_up(address("ns2")));
      for (const auto& place : places) {
        const auto response = get(place);
        EXPECT_THAT(response ? response->body : response.error().message, HasSubstr(greeting + " from web")) << place;
      }
    });
    client.join();
    return places;
  }
  static std::unique_ptr<Traffic> load(const std::string& server) {
    return std::make_unique<Traffic>(
        [client = std::make_shared<Client>(address(server)), there = std::make_shared<bool>(false)] {
          if (!std::exchange(*there, true)) cluster()["client"].enter_network();
          return client->ask();
        });
  }

  static inline std::unique_ptr<Cluster> shared;
};

TEST_F(DirectCluster, DnsLeadsToEachInstanceTheWayItsNodeIsReached) {
  deploy(3, "direct");
  const auto places = expect_served("direct");
  ASSERT_THAT(places, SizeIs(3));
  EXPECT_THAT(places, ::testing::UnorderedElementsAre(MatchesRegex("203\\.0\\.113\\.7 400[01][0-9]"),
                                                      MatchesRegex(address("n2") + " 2[0-9]{4}"),
                                                      MatchesRegex("192\\.0\\.2\\.(19[2-9]|2[0-9][0-9]) 8080")));
  EXPECT_THAT(k4t({"apply", "-f", "services"}).out, HasSubstr("Nothing to do."));
  EXPECT_THAT(k4t({"doctor"}).out, Not(HasSubstr("subnet")));
}

TEST_F(DirectCluster, UpdatesScalingAndADrainLoseNoRequest) {
  deploy(3, "before");
  auto first = load("ns1");
  auto second = load("ns2");
  deploy(3, "after");
  deploy(5, "after");
  for (const char* node : {"n1", "n3"}) {
    k4t({"node", "drain", node, "--yes"});
    k4t({"node", "uncordon", node});
  }
  deploy(2, "after");
  EXPECT_EQ(disturbance(*first), "");
  EXPECT_EQ(disturbance(*second), "");
  EXPECT_THAT(expect_served("after"), SizeIs(2));
}

}  // namespace
}  // namespace k4t::testing::lab
