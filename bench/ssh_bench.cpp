#include <benchmark/benchmark.h>

#include "drivers/witness_file.hpp"
#include "k4t/ssh.hpp"
#include "k4t/transport.hpp"
#include "support/sshd_server.hpp"

/// What a machine over SSH costs, on a server of this machine: connecting, a command on a kept connection, and a
/// witness's vote, to be compared with file_witness_vote on the local disk.

namespace k4t::bench {
namespace {

/// A server and how to reach it; nullptr where sshd is not installed or this is not root.
std::unique_ptr<testing::SshdServer> serve(benchmark::State& state) {
  if (!testing::SshdServer::available()) {
    state.SkipWithError("needs sshd and root");
    return nullptr;
  }
  auto server = std::make_unique<testing::SshdServer>();
  server->start();
  return server;
}

std::shared_ptr<transport::Host> open(const testing::SshdServer& server) {
  transport::SshOptions options;
  options.identity = {server.identity()};
  options.known_hosts = server.known_hosts();
  return *transport::ssh_host(server.url(), options);
}

bool runs_true(transport::Host& host) {
  transport::Command command;
  command.argv = {"true"};
  const auto ran = host.run(command);
  return ran && ran->exit_code == 0;
}

void ssh_connect_and_run(benchmark::State& state) {
  const auto server = serve(state);
  if (server == nullptr) return;
  for (auto _ : state) {
    if (!runs_true(*open(*server))) state.SkipWithError("cannot run");
  }
}

void ssh_run(benchmark::State& state) {
  const auto server = serve(state);
  if (server == nullptr) return;
  const auto host = open(*server);
  for (auto _ : state) {
    if (!runs_true(*host)) state.SkipWithError("cannot run");
  }
}

void ssh_witness_vote(benchmark::State& state) {
  const auto server = serve(state);
  if (server == nullptr) return;
  const CallOptions options;
  const model::Epoch epoch{1, std::string(32, 'a')};
  const std::string folder = (server->scratch().path() / "witness").string();
  drivers::FileWitness witness(open(*server), "bench", {"w1", server->url(), folder});
  const auto claimed = witness.claim({epoch, "bench", false, true}, options);
  if (!claimed || !claimed->granted) return state.SkipWithError("cannot claim");
  std::string base;
  for (std::uint64_t version = 1; auto _ : state) {
    state.PauseTiming();
    model::State content;
    content.dns.suffix = std::string(20'000, 'x');
    const auto record = model::make_record(base, version++, content);
    base = record.txn;
    state.ResumeTiming();
    const auto voted = witness.vote(epoch, record, options);
    if (!voted || !voted->granted) state.SkipWithError("cannot vote");
  }
}

void repeated(benchmark::internal::Benchmark* benchmark) {
  benchmark->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(0.5)->Repetitions(3)->ReportAggregatesOnly();
}

BENCHMARK(ssh_connect_and_run)->Apply(repeated);
BENCHMARK(ssh_run)->Apply(repeated);
BENCHMARK(ssh_witness_vote)->Apply(repeated);

}  // namespace
}  // namespace k4t::bench
