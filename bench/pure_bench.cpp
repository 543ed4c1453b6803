#include <benchmark/benchmark.h>

#include "plan/routing.hpp"
#include "sample.hpp"

/// What the master computes, without any I/O, by the number of services.

namespace k4t::bench {
namespace {

void make_plan(benchmark::State& state) {
  const Sample sample = sample_of(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    auto plan = plan::make_plan(sample.cluster, sample.services, sample.world, "1-bench", ids());
    if (!plan.problems.empty()) state.SkipWithError(plan.problems.front().c_str());
    benchmark::DoNotOptimize(plan);
  }
}

void routing_state(benchmark::State& state) {
  const Sample sample = sample_of(static_cast<std::size_t>(state.range(0)));
  const auto plan = plan::make_plan(sample.cluster, sample.services, sample.world, "1-bench", ids());
  std::vector<plan::Placed> routed;
  for (const auto& creation : plan.creations) routed.push_back(creation.placed);
  for (auto _ : state) {
    auto routing = plan::routing_state(sample.cluster, sample.services, routed);
    benchmark::DoNotOptimize(routing);
  }
}

void record_name(benchmark::State& state) {
  const auto record = model::make_record("", 1, state_of(sample_of(static_cast<std::size_t>(state.range(0)))));
  for (auto _ : state) benchmark::DoNotOptimize(model::txn_of(record.base, record.version, record.state_text));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(record.state_text.size()));
}

void state_to_json(benchmark::State& state) {
  const auto wanted = state_of(sample_of(static_cast<std::size_t>(state.range(0))));
  for (auto _ : state) benchmark::DoNotOptimize(Json(wanted).dump());
}

void state_from_json(benchmark::State& state) {
  const std::string text = Json(state_of(sample_of(static_cast<std::size_t>(state.range(0))))).dump();
  for (auto _ : state) {
    auto decoded = decode<model::State>(Json::parse(text, nullptr, false));
    if (!decoded) state.SkipWithError(decoded.error().message.c_str());
    benchmark::DoNotOptimize(decoded);
  }
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(10)->Arg(100)->Arg(1000)->Arg(5000)->Unit(benchmark::kMillisecond);
}

BENCHMARK(make_plan)->Apply(sizes);
BENCHMARK(routing_state)->Apply(sizes);
BENCHMARK(record_name)->Apply(sizes);
BENCHMARK(state_to_json)->Apply(sizes);
BENCHMARK(state_from_json)->Apply(sizes);

}  // namespace
}  // namespace k4t::bench
