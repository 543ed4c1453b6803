#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "drivers/witness_file.hpp"
#include "k4t/transport.hpp"
#include "store/store.hpp"

/// What makes a change durable, beside the least that any program must do for it: append so many bytes and fdatasync.
/// Both on the same disk in the same run, so that their ratio means something. K4T_BENCH_FOLDER chooses the disk.

namespace k4t::bench {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    const char* chosen = std::getenv("K4T_BENCH_FOLDER");  // NOLINT(concurrency-mt-unsafe): one thread
    std::string text = (chosen == nullptr ? fs::temp_directory_path().string() : chosen) + "/k4t-bench-XXXXXX";
    if (::mkdtemp(text.data()) != nullptr) path_ = text;
  }
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// A record whose state text has about so many bytes.
model::Record record_of(std::uint64_t version, const std::string& base, std::int64_t bytes) {
  model::State state;
  state.dns.suffix = std::string(static_cast<std::size_t>(bytes), 'x');
  return model::make_record(base, version, state);
}

void plain_append(benchmark::State& state) {
  const Folder folder;
  const std::string text = record_of(1, "", state.range(0)).state_text;
  const int fd = ::open((folder.path() / "plain").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  for (auto _ : state) {
    const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (!written || ::fdatasync(fd) != 0) state.SkipWithError("cannot write");
  }
  ::close(fd);
}

void redo_log_append(benchmark::State& state) {
  const Folder folder;
  auto store = store::Store::open(folder.path() / "state", "bench");
  if (!store) return state.SkipWithError(store.error().message.c_str());
  std::string base;
  for (std::uint64_t version = 1; auto _ : state) {
    state.PauseTiming();
    const auto record = record_of(version++, base, state.range(0));
    base = record.txn;
    state.ResumeTiming();
    if (!(*store)->put_record(record, true)) state.SkipWithError("cannot put the record");
  }
}

void file_witness_vote(benchmark::State& state) {
  const Folder folder;
  const CallOptions options;
  const model::Epoch epoch{1, std::string(32, 'a')};
  drivers::FileWitness witness(transport::local_host(), "bench", {"w1", "local", folder.path().string()});
  const auto claimed = witness.claim({epoch, "bench", false, true}, options);
  if (!claimed || !claimed->granted) return state.SkipWithError("cannot claim");
  std::string base;
  for (std::uint64_t version = 1; auto _ : state) {
    state.PauseTiming();
    const auto record = record_of(version++, base, state.range(0));
    base = record.txn;
    state.ResumeTiming();
    const auto voted = witness.vote(epoch, record, options);
    if (!voted || !voted->granted) state.SkipWithError("cannot vote");
  }
}

/// The machine's noise is in single runs; the median of several is shown.
void repeated(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(200)->Arg(20000)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(0.2)->Repetitions(5);
  benchmark->ReportAggregatesOnly();
}

BENCHMARK(plain_append)->Apply(repeated);
BENCHMARK(redo_log_append)->Apply(repeated);
BENCHMARK(file_witness_vote)->Apply(repeated);

}  // namespace
}  // namespace k4t::bench
