#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "config/config.hpp"
#include "drivers/witness_dns.hpp"
#include "plugin/catalog.hpp"
#include "support/dns_proxy.hpp"
#include "support/name_server.hpp"
#include "support/process.hpp"

/// A witness's rules on the real DNS servers, through the real plugins: of writers that race each swap has one winner,
/// a lost answer is settled, and a register is no part of what is served.

namespace k4t::drivers {
namespace {

using ::testing::HasSubstr;

const std::string run_a(32, 'a');
const std::string run_b(32, 'b');
const std::string run_c(32, 'c');

/// One master: its own plugin handles, so its own connections.
class Master {
 public:
  explicit Master(model::Cluster cluster)
      : cluster_(std::move(cluster)),
        catalog_(plugin::Catalog::scan(cluster_.plugin_folders)),
        fleet_(cluster_,
               [this](const std::string& driver, const std::string& kind,
                      const OpenRequest& request) -> Result<std::unique_ptr<Callee>> {
                 K4T_ASSIGN(auto handle, catalog_.open(driver, kind, request));
                 return std::unique_ptr<Callee>(std::move(handle));
               }) {}

  DnsClient& server() { return *fleet_.dns().front(); }
  DnsWitness witness(const std::string& id) { return {server(), cluster_.name, cluster_.domain, id}; }

 private:
  model::Cluster cluster_;
  plugin::Catalog catalog_;
  Fleet fleet_;
};

class RealDnsWitness : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (const auto why = testing::name_server_missing(GetParam()); !why.empty()) K4T_SKIP_OR_FAIL(why);
    server_ = testing::make_name_server(GetParam(), domain);
  }

  [[nodiscard]] model::Cluster cluster() const {
    const std::string text = "[cluster]\nname = \"demo\"\ndomain = \"" + std::string(domain) +
                             "\"\nstate = \"state\"\n" + "[plugins]\nfolders = [\"" + K4T_BINARY_DIR + "/plugins\"]\n" +
                             "[[node]]\nname = \"n1\"\ndriver = \"process\"\naddress = \"127.0.0.1\"\n" +
                             "[[dns]]\nname = \"ns1\"\n" + server_->settings();
    auto loaded = config::parse_cluster({(scratch_.path() / "k4t.toml").string(), text});
    if (!loaded.ok()) throw std::runtime_error(loaded.diagnostics.front().cause);
    auto cluster = *std::move(loaded.value);
    cluster.nodes.clear();
    return cluster;
  }
  [[nodiscard]] std::string dig(const std::string& label) const { return server_->dig(label + "." + domain, "TXT"); }

  static txn::ClaimRequest claim(std::uint64_t counter, const std::string& run, bool initialise = false) {
    return {{counter, run}, "alpha root", false, initialise};
  }
  static model::Record record(std::uint64_t version, const std::string& what) {
    model::State state;
    state.dns.suffix = what;
    return model::make_record({}, version, state);
  }

  static constexpr const char* domain = "demo.example.net";
  testing::Scratch scratch_;
  std::unique_ptr<testing::NameServer> server_;
  CallOptions options_{std::chrono::seconds(30), nullptr};
};

TEST_P(RealDnsWitness, OfThreeMastersThatRaceOneWinsEachSwap) {
  Master first(cluster());
  ASSERT_TRUE(first.witness("w1").claim(claim(1, run_a, true), options_)->granted);
  std::atomic<int> granted = 0;
  std::atomic<int> voted = 0;
  std::vector<std::thread> masters;
  for (const auto& run : {run_a, run_b, run_c}) {
    masters.emplace_back([&, run] {
      Master master(cluster());
      auto mine = master.witness("w1");
      for (std::uint64_t counter = 2; counter < 10; ++counter) {
        const auto answer = mine.claim(claim(counter, run), options_);
        ASSERT_TRUE(answer) << answer.error().message << answer.error().detail;
        if (!answer->granted) continue;
        ++granted;
        const auto vote = mine.vote({counter, run}, record(1, run), options_);
        ASSERT_TRUE(vote) << vote.error().message << vote.error().detail;
        voted += vote->granted ? 1 : 0;
        if (!vote->granted) {
          EXPECT_GT(vote->now.promised, (model::Epoch{counter, run}));
        }
      }
    });
  }
  for (auto& master : masters) master.join();
  EXPECT_GE(granted, 8) << "of each counter the highest run at least";
  EXPECT_GE(voted, 1);
  EXPECT_EQ((*first.witness("w1").peek(options_))->promised, (model::Epoch{9, run_c}));
}

TEST_P(RealDnsWitness, ALostAnswerIsSettledByReadingAgain) {
  auto through = cluster();
  std::atomic<int> updates = 0;
  std::atomic<bool> losing = false;
  const testing::DnsProxy proxy(through.dns[0].options.at("port").get<std::uint16_t>(),
                                [&](bool update, std::string&) { return !(update && losing && ++updates == 1); });
  through.dns[0].options["port"] = proxy.port();
  Master master(through);
  auto witness = master.witness("w1");
  ASSERT_TRUE(witness.claim(claim(1, run_a, true), options_)->granted);
  losing = true;
  const auto voted = record(1, "x");
  const auto answer = witness.vote({1, run_a}, voted, options_);
  ASSERT_TRUE(answer) << answer.error().message << answer.error().detail;
  EXPECT_TRUE(answer->granted);
  EXPECT_GE(updates, 1) << "an answer was lost";
  EXPECT_THAT(dig("_k4t-w-w1"), HasSubstr("1." + run_a + "/1/" + voted.txn + " open alpha root"));
}

TEST_P(RealDnsWitness, ARegisterIsNoPartOfWhatIsServed) {
  Master master(cluster());
  auto& server = master.server();
  auto witness = master.witness("w1");
  ASSERT_TRUE(witness.claim(claim(1, run_a, true), options_)->granted);
  model::State state;
  state.dns = {domain, {{std::string("web.") + domain, dns::Type::a, 5, {"192.0.2.1"}}}};
  const auto entry = std::make_shared<const txn::Entry>(txn::Entry{model::make_record({}, 1, state), state});
  const auto target = txn::register_of("demo", *entry, "run0.1");
  const auto prepared = server.prepare({{}, target, entry, nullptr}, options_);
  ASSERT_TRUE(prepared) << prepared.error().message;
  ASSERT_TRUE(server.commit({{}, target}, options_));
  ASSERT_TRUE(witness.vote({1, run_a}, entry->record, options_)->granted);
  const auto seen = Master(cluster()).server().observe(entry.get(), options_);
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(seen->content, Content::clean) << seen->detail;
  // A stranger that knows no base replaces all that is there.
  Master stranger(cluster());
  const auto repaired = txn::register_of("demo", *entry, "run1.1");
  ASSERT_TRUE(stranger.server().prepare({target, repaired, entry, nullptr}, options_));
  ASSERT_TRUE(stranger.server().commit({target, repaired}, options_));
  EXPECT_EQ((*witness.peek(options_))->vote->txn, entry->record.txn) << "the register is still there";
}

TEST_P(RealDnsWitness, ARegisterThatIsGoneIsBlankAndAServerThatIsAwayIsNot) {
  Master master(cluster());
  auto witness = master.witness("w1");
  ASSERT_TRUE(witness.claim(claim(1, run_a, true), options_)->granted);
  const auto text = master.server().witness_text(domain, "w1", options_);
  ASSERT_TRUE(text && *text);
  EXPECT_EQ(dig("_k4t-w-w1"), '"' + **text + '"');
  EXPECT_FALSE(*master.witness("w2").peek(options_)) << "BLANK, and that is known";
  EXPECT_EQ(master.witness("w2").claim(claim(2, run_a), options_).status(), Status::not_found);
  server_->stop();
  EXPECT_EQ(witness.peek(options_).status(), Status::unavailable);
  EXPECT_EQ(master.witness("w2").peek(options_).status(), Status::unavailable);
}

INSTANTIATE_TEST_SUITE_P(On, RealDnsWitness, ::testing::Values("bind", "samba"),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace k4t::drivers
