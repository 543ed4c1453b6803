#include <benchmark/benchmark.h>

#include "render.hpp"
#include "sample.hpp"

namespace k4t::bench {
namespace {

void render_nginx(benchmark::State& state) {
  const auto wanted = state_of(sample_of(static_cast<std::size_t>(state.range(0)))).gateways;
  const nginx::Placement placement{{"192.0.2.1"}, 18911};
  const Register at{"bench", 1, std::string(32, 'a'), std::string(32, 'b') + ".1"};
  if (const auto valid = nginx::validate(wanted, placement); !valid) {
    state.SkipWithError(valid.error().message.c_str());
  }
  for (auto _ : state) benchmark::DoNotOptimize(nginx::render(at, wanted, placement));
}
BENCHMARK(render_nginx)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace k4t::bench
