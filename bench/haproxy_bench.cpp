#include <benchmark/benchmark.h>

#include "k4t/gateway_rules.hpp"
#include "render.hpp"
#include "sample.hpp"

namespace k4t::bench {
namespace {

void render_haproxy(benchmark::State& state) {
  const auto wanted = state_of(sample_of(static_cast<std::size_t>(state.range(0)))).gateways;
  const haproxy::Placement placement{"192.0.2.2", "/var/lib/haproxy/k4t.state"};
  if (const auto valid = gateway::check_rules(wanted); !valid) state.SkipWithError(valid.error().message.c_str());
  for (auto _ : state) benchmark::DoNotOptimize(haproxy::render(wanted, placement));
}
BENCHMARK(render_haproxy)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace k4t::bench
