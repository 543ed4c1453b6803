#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <thread>

#include "drivers/witness_file.hpp"
#include "k4t/dnsupdate.hpp"
#include "k4t/http.hpp"
#include "txn_bed.hpp"

/// What a transaction costs, beside what its members cost when nothing else is asked of them: the servers' own
/// commands, one member alone, a plain write and fdatasync, an etcd put. Everything in one run, by turns, and in
/// medians, so that the ratios mean something on a shared machine too.

namespace k4t::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int turns = 15;
constexpr int pair_turns = 100;  ///< enough for a p99

/// Milliseconds that were measured for one thing.
class Series {
 public:
  void add(Milliseconds time) { values_.push_back(time.count()); }
  [[nodiscard]] double at(double share) const {
    if (values_.empty()) return 0;
    std::vector<double> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
  }
  [[nodiscard]] double median() const { return at(0.5); }

 private:
  std::vector<double> values_;
};

Milliseconds time_of(const std::function<void()>& what) {
  const auto began = Clock::now();
  what();
  return Clock::now() - began;
}

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

void line(const std::string& name, double median, const std::string& remark = {}) {
  std::printf("  %-46s %9.2f ms   %s\n", name.c_str(), median, remark.c_str());
  std::fflush(stdout);
}

std::string ms(double median) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f ms", median);
  return text;
}

std::string times(double part, double whole) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f ×", whole == 0 ? 0 : part / whole);
  return text;
}

/// A file that grows by one durable write at a time.
class PlainFile {
 public:
  PlainFile() : fd_(::open((scratch_.path() / "plain").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600)) {}
  ~PlainFile() { ::close(fd_); }
  PlainFile(const PlainFile&) = delete;
  PlainFile& operator=(const PlainFile&) = delete;

  void write(const std::string& text) const {
    if (::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fdatasync(fd_) != 0) {
      throw std::runtime_error("cannot write");
    }
  }

 private:
  testing::Scratch scratch_;
  int fd_;
};

// The servers' own commands.

std::vector<pid_t> serving_children(pid_t parent) {
  std::ifstream list("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  std::vector<pid_t> found;
  for (pid_t child = 0; list >> child;) {
    std::ifstream title("/proc/" + std::to_string(child) + "/cmdline");
    std::string text;
    std::getline(title, text);
    if (text.find("shutting down") == std::string::npos) found.push_back(child);
  }
  return found;
}

/// Until every worker that was there before is gone or shutting down, and another one is there.
void nginx_reload(const testing::NginxServer& nginx) {
  const pid_t master = std::stoi(testing::Scratch::read(nginx.pid_file()));
  const auto before = serving_children(master);
  ::kill(master, SIGHUP);
  const auto only_new_ones = [&] {
    const auto now = serving_children(master);
    return !now.empty() && std::none_of(now.begin(), now.end(), [&](pid_t pid) {
      return std::find(before.begin(), before.end(), pid) != before.end();
    });
  };
  const bool switched = testing::eventually(only_new_ones, std::chrono::minutes(2));
  if (!switched) throw std::runtime_error("nginx does not reload");
}

void must_run(const std::vector<std::string>& argv) {
  const auto ran = testing::run(argv);
  if (ran.exit_code != 0) throw std::runtime_error(argv.front() + ": " + ran.out);
}

/// One signed UPDATE on a kept connection: deletes and adds `records` TXT records.
class RawUpdates {
 public:
  explicit RawUpdates(const testing::BindServer& server)
      : client_({server.address(), server.port()},
                dnsupdate::make_tsig(must(dnsupdate::read_tsig_key(server.key_file())))),
        zone_(server.zone()) {}

  void send(std::size_t records) {
    dnsupdate::Update update;
    update.zone = zone_;
    const auto data = must(dnsupdate::make_rdata(dnsupdate::type::txt, "raw " + std::to_string(++count_)));
    for (std::size_t i = 0; i < records; ++i) {
      const std::string name = "raw" + std::to_string(i) + "." + zone_;
      update.changes.push_back({dnsupdate::Change::Kind::delete_rrset, name, dnsupdate::type::txt, 0, {}});
      update.changes.push_back({dnsupdate::Change::Kind::add, name, dnsupdate::type::txt, 5, data});
    }
    must(client_.update(update, {Clock::now() + std::chrono::seconds(30), {}}));
  }

 private:
  dnsupdate::Client client_;
  std::string zone_;
  unsigned count_ = 0;
};

void bench_small_change(plugin::Catalog& catalog) {
  Bed together(catalog, {"nginx", "haproxy"}, 2, 10);
  Bed nginx(catalog, {"nginx"}, 0, 10);
  Bed haproxy(catalog, {"haproxy"}, 0, 10);
  Bed dns(catalog, {}, 1, 10);
  RawUpdates updates(dns.dns(0));
  const PlainFile file;
  std::map<std::string, Bed*> alone{{"nginx", &nginx}, {"HAProxy", &haproxy}, {"BIND", &dns}};

  std::map<std::string, Series> series;
  for (int turn = 0; turn < turns; ++turn) {
    const auto record = [&series](const std::string& who, const Times& took) {
      series[who + " whole"].add(took.whole);
      for (const auto& [round, time] : took.rounds) series[who + " " + round].add(time);
    };
    record("together", together.commit(together.small_change()));
    for (const auto& [who, bed] : alone) record(who, bed->commit(bed->small_change()));
    series["nginx -t"].add(time_of([&] { must_run({"nginx", "-t", "-q", "-c", nginx.nginx(0).config().string()}); }));
    series["nginx reload"].add(time_of([&] { nginx_reload(nginx.nginx(0)); }));
    series["write"].add(time_of([&] { file.write(testing::Scratch::read(nginx.nginx(0).config())); }));
    series["haproxy -c"].add(time_of([&] {
      must_run({testing::HaproxyServer::binary(), "-c", "-q", "-f", haproxy.haproxy(0).config().string(), "-f",
                haproxy.haproxy(0).file().string()});
    }));
    series["runtime API"].add(time_of([&] { haproxy.haproxy(0).tell("@1 show info"); }));
    series["UPDATE"].add(time_of([&] { updates.send(1); }));
  }

  std::printf("\nOne endpoint and one record changed on nginx, HAProxy and two BINDs, 10 services (medians of %d)\n",
              turns);
  double slowest_sum = 0;
  for (const char* round : {"prepare", "vote", "commit"}) {
    double slowest = 0;
    std::string remark;
    for (const auto& [who, bed] : alone) {
      const double median = series[who + " " + round].median();
      slowest = std::max(slowest, median);
      char text[64];
      std::snprintf(text, sizeof text, "%s%s alone %.2f", remark.empty() ? "" : ", ", who.c_str(), median);
      remark += text;
    }
    slowest_sum += slowest;
    line(round, series["together " + std::string(round)].median(), remark);
  }
  const double whole = series["together whole"].median();
  line("the whole transaction", whole, times(whole, slowest_sum) + " the slowest members of the three rounds alone");
  const double raw = series["nginx -t"].median() + series["write"].median() + series["nginx reload"].median();
  line("nginx -t, a plain durable write, nginx reload", raw, "the whole takes " + times(whole, raw) + " as long");
  std::printf("The servers' own commands\n");
  line("nginx -t", series["nginx -t"].median());
  line("a plain write and fdatasync", series["write"].median());
  line("nginx reload, until only new workers serve", series["nginx reload"].median());
  line("haproxy -c", series["haproxy -c"].median());
  line("one command of HAProxy's Runtime API", series["runtime API"].median());
  line("one signed UPDATE on a kept connection", series["UPDATE"].median());
}

// What makes a vote durable.

/// A single etcd with its defaults, asked through its JSON gateway on a kept connection.
class Etcd {
 public:
  Etcd() : client_port_(testing::free_port()), peer_port_(testing::free_port()) {
    const std::string client_url = "http://127.0.0.1:" + std::to_string(client_port_);
    const std::string peer_url = "http://127.0.0.1:" + std::to_string(peer_port_);
    server_ = std::make_unique<testing::Server>(
        std::vector<std::string>{"etcd", "--data-dir", (scratch_.path() / "data").string(), "--listen-client-urls",
                                 client_url, "--advertise-client-urls", client_url, "--listen-peer-urls", peer_url,
                                 "--initial-advertise-peer-urls", peer_url, "--initial-cluster", "default=" + peer_url},
        scratch_.path() / "etcd.log");
    http::Endpoint endpoint;
    endpoint.address = "127.0.0.1";
    endpoint.port = client_port_;
    client_ = std::make_unique<http::Client>(endpoint);
    if (!testing::eventually([this] { return try_put(); })) throw std::runtime_error("etcd does not start");
  }

  void put() {
    if (!try_put()) throw std::runtime_error("etcd does not take a put");
  }

 private:
  bool try_put() {
    http::Request request;
    request.method = "POST";
    request.target = "/v3/kv/put";
    request.body = R"({"key":"azR0","value":")" + std::string(400, 'a') + R"("})";
    const auto answer = client_->send(request);
    return answer && answer->status == 200;
  }

  testing::Scratch scratch_;
  std::uint16_t client_port_;
  std::uint16_t peer_port_;
  std::unique_ptr<testing::Server> server_;
  std::unique_ptr<http::Client> client_;
};

void bench_vote() {
  const testing::Scratch scratch;
  const PlainFile file;
  drivers::FileWitness witness(transport::local_host(), "bench", {"w1", "local", scratch.path().string()});
  const model::Epoch epoch{1, std::string(32, 'a')};
  must(witness.claim({epoch, "bench", false, true}, {}));
  std::unique_ptr<Etcd> etcd;
  if (!testing::find_program("etcd").empty()) etcd = std::make_unique<Etcd>();

  Series plain;
  Series vote;
  Series put;
  std::string base;
  for (std::uint64_t version = 1; version <= 20 * turns; ++version) {
    model::State state;
    state.dns.suffix = std::string(300, 'x');
    const auto record = model::make_record(base, version, state);
    base = record.txn;
    plain.add(time_of([&] { file.write(record.state_text); }));
    vote.add(time_of([&] { must(witness.vote(epoch, record, {})); }));
    if (etcd != nullptr) put.add(time_of([&] { etcd->put(); }));
  }
  std::printf("\nOne durable vote with its record (medians of %d)\n", 20 * turns);
  line("a plain write and fdatasync", plain.median());
  line("a file witness's vote", vote.median(), times(vote.median(), plain.median()) + " a plain write");
  if (etcd != nullptr) {
    line("an etcd put", put.median(), "the vote takes " + times(vote.median(), put.median()) + " as long");
  } else {
    std::printf("  an etcd put: not measured, etcd is not installed (Debian: etcd-server)\n");
  }
}

// How long a pair shows two versions.

/// Asks one HAProxy again and again, on one connection, which version it serves, and notes when that changes. Between
/// two questions it rests for a moment that is short beside what it measures: on a small machine whoever asks without a
/// pause takes from HAProxy the time that it measures.
class Watcher {
 public:
  explicit Watcher(const testing::HaproxyServer& haproxy)
      : link_(must(transport::local_host()->connect_unix(haproxy.master_socket(), patience))) {
    say("prompt");
    last_ = version();
    thread_ = std::thread([this] { watch(); });
  }
  ~Watcher() {
    ending_ = true;
    thread_.join();
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  /// When the version changed since the last call; waits for it.
  Clock::time_point change() {
    if (!testing::eventually([this] { return broken_ || changed_ != 0; }) || broken_) {
      throw std::runtime_error("the version does not change");
    }
    return Clock::time_point(Clock::duration(changed_.exchange(0)));
  }

 private:
  static constexpr std::chrono::seconds patience{5};
  static constexpr std::chrono::microseconds rest{200};

  void watch() {
    try {
      for (; !ending_; std::this_thread::sleep_for(rest)) {
        const std::string now = version();
        if (now.empty() || now == last_) continue;
        last_ = now;
        changed_ = Clock::now().time_since_epoch().count();
      }
    } catch (const std::exception&) {
      broken_ = true;
    }
  }

  /// Empty while a change is going on.
  std::string version() {
    const std::string answer = say("@1 get var proc.k4t");
    return answer.find("applying/") == std::string::npos ? answer : std::string();
  }

  std::string say(const std::string& line) {
    must(link_->write(line + "\n", patience));
    std::string answer;
    while (!answer.ends_with("> ")) {
      const std::string piece = must(link_->read(4096, patience));
      if (piece.empty()) throw std::runtime_error("HAProxy closed the connection");
      answer += piece;
    }
    return answer;
  }

  std::unique_ptr<transport::Stream> link_;
  std::string last_;
  std::atomic<Clock::rep> changed_ = 0;
  std::atomic<bool> broken_ = false;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

void bench_haproxy_pair(plugin::Catalog& catalog) {
  Bed bed(catalog, {"haproxy", "haproxy"}, 0, 10);
  bed.commit(bed.small_change());
  Watcher first(bed.haproxy(0));
  Watcher second(bed.haproxy(1));
  Series commit;
  Series apart;
  Series prepare;
  for (int turn = 0; turn < pair_turns; ++turn) {
    auto took = bed.commit(bed.small_change());
    prepare.add(took.rounds["prepare"]);
    commit.add(took.rounds["commit"]);
    const auto one = first.change();
    const auto other = second.change();
    apart.add(one < other ? other - one : one - other);
  }
  std::printf("\nServers of one backend changed on a pair of HAProxys, no reload (%d times)\n", pair_turns);
  line("prepare round", prepare.median());
  line("commit round, median", commit.median());
  line("commit round, p99", commit.at(0.99));
  line("the two serve different versions, median", apart.median());
  line("the two serve different versions, p99", apart.at(0.99));
}

void bench_records(plugin::Catalog& catalog) {
  constexpr std::size_t records = 1000;
  Bed pair(catalog, {}, 2, 1);
  RawUpdates first(pair.dns(0));
  RawUpdates second(pair.dns(1));
  const auto send_all = [](RawUpdates& updates) {
    for (std::size_t part = 0; part < 2; ++part) updates.send(records / 2);
  };
  Series together;
  std::map<std::string, Series> rounds;
  Series raw;
  Series raw_pair;
  for (int turn = 0; turn < turns; ++turn) {
    model::State next = pair.state();
    std::erase_if(next.dns.records, [](const dns::RecordSet& set) { return set.name.starts_with("many"); });
    for (std::size_t i = 0; i < records; ++i) {
      next.dns.records.push_back(
          {"many" + std::to_string(i) + "." + pair.domain(), dns::Type::txt, 5, {"turn " + std::to_string(turn)}});
    }
    std::sort(next.dns.records.begin(), next.dns.records.end());
    const auto took = pair.commit(next);
    together.add(took.whole);
    for (const auto& [round, time] : took.rounds) rounds[round].add(time);
    raw.add(time_of([&] { send_all(first); }));
    raw_pair.add(time_of([&] {
      std::thread beside([&] { send_all(second); });
      send_all(first);
      beside.join();
    }));
  }
  std::printf("\n%zu records replaced (medians of %d)\n", records, turns);
  line("one server, signed UPDATEs on a kept connection", raw.median());
  line("both servers at the same time, signed UPDATEs", raw_pair.median(),
       times(raw_pair.median(), raw.median()) + " one server");
  line(
      "one transaction on a pair of BINDs", together.median(),
      times(together.median(), raw.median()) + " one server, " + times(together.median(), raw_pair.median()) + " both");
  for (auto& [round, times] : rounds) line("  " + round, times.median());
}

/// One nginx alone, by turns with its own commands.
void bench_nginx_growth(plugin::Catalog& catalog, std::size_t services, int repeats) {
  Bed bed(catalog, {"nginx"}, 0, services);
  std::map<std::string, Series> series;
  for (int turn = 0; turn < repeats; ++turn) {
    const auto took = bed.commit(bed.small_change());
    for (const char* round : {"prepare", "commit"}) series[round].add(took.rounds.at(round));
    series["both"].add(took.rounds.at("prepare") + took.rounds.at("commit"));
    const auto check = time_of([&] { must_run({"nginx", "-t", "-q", "-c", bed.nginx(0).config().string()}); });
    const auto reload = time_of([&] { nginx_reload(bed.nginx(0)); });
    series["-t"].add(check);
    series["reload"].add(reload);
    series["both raw"].add(check + reload);
  }
  const double raw = series["both raw"].median();
  line("  nginx alone: prepare", series["prepare"].median(), "nginx -t by itself " + ms(series["-t"].median()));
  line("  nginx alone: commit", series["commit"].median(), "a reload by itself " + ms(series["reload"].median()));
  line("  nginx alone: prepare and commit", series["both"].median(),
       "by themselves " + ms(raw) + ", " + times(series["both"].median(), raw));
}

void bench_growth(plugin::Catalog& catalog) {
  std::printf("\nThe same small change by the number of services\n");
  for (const std::size_t services : {10, 100, 1000, 5000}) {
    const int repeats = services < 1000 ? turns : 5;
    std::map<std::string, Series> series;
    {
      Bed bed(catalog, {"nginx", "haproxy"}, 2, services);
      for (int turn = 0; turn < repeats; ++turn) {
        const auto took = bed.commit(bed.small_change());
        series["whole"].add(took.whole);
        for (const auto& [round, time] : took.rounds) series[round].add(time);
        for (const auto& [member, time] : took.members) series[member].add(time);
      }
    }
    line(std::to_string(services) + " services", series["whole"].median());
    for (const auto& [name, one] : series) {
      if (name != "whole") line("  " + name, one.median());
    }
    bench_nginx_growth(catalog, services, repeats);
  }
}

}  // namespace
}  // namespace k4t::bench

int main(int argc, char** argv) {
  using namespace k4t::bench;
  const std::map<std::string, std::function<void(k4t::plugin::Catalog&)>> parts{{"1 small", bench_small_change},
                                                                                {"2 vote", [](auto&) { bench_vote(); }},
                                                                                {"3 pair", bench_haproxy_pair},
                                                                                {"4 records", bench_records},
                                                                                {"5 growth", bench_growth}};
  try {
    auto catalog = k4t::plugin::Catalog::scan({std::string(K4T_BINARY_DIR) + "/plugins"});
    for (const auto& [name, part] : parts) {
      if (argc < 2 || name.find(argv[1]) != std::string::npos) part(catalog);
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "k4t-bench-txn: %s\n", error.what());
    return 1;
  }
}
