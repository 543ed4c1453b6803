#include <benchmark/benchmark.h>
#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>

#include "backup/copy_file.hpp"
#include "store/store.hpp"

/// What digests of pages cost where every command meets them, at the opening of the store, beside SQLite's own check of
/// the same file; and what a copy of the metadata costs.

namespace k4t::bench {
namespace {

namespace fs = std::filesystem;

/// A store with so many records of 4 KiB, that goes with this.
class Filled {
 public:
  explicit Filled(std::int64_t records) {
    std::string text = (fs::temp_directory_path() / "k4t-bench-XXXXXX").string();
    if (::mkdtemp(text.data()) == nullptr) return;
    folder_ = text;
    const auto store = store::Store::open(folder_, "bench");
    if (!store) return;
    const auto filled = (*store)->atomically([&]() -> Result<void> {
      std::string base;
      for (std::uint64_t version = 1; version <= static_cast<std::uint64_t>(records); ++version) {
        model::State state;
        state.dns.suffix = std::string(4096, 'x');
        const auto record = model::make_record(base, version, state);
        base = record.txn;
        K4T_TRY((*store)->put_record(record, true));
      }
      return {};
    });
    sound_ = filled.ok();
  }
  ~Filled() {
    std::error_code ignored;
    if (!folder_.empty()) fs::remove_all(folder_, ignored);
  }
  Filled(const Filled&) = delete;
  Filled& operator=(const Filled&) = delete;
  [[nodiscard]] const fs::path& folder() const { return folder_; }
  [[nodiscard]] bool sound() const { return sound_; }

 private:
  fs::path folder_;
  bool sound_ = false;
};

void sqlite_open_and_check(benchmark::State& state) {
  const Filled filled(state.range(0));
  const std::string file = (filled.folder() / "metadata.db").string();
  for (auto _ : state) {
    sqlite3* handle = nullptr;
    const bool done = filled.sound() && sqlite3_open(file.c_str(), &handle) == SQLITE_OK &&
                      sqlite3_exec(handle, "PRAGMA quick_check(3)", nullptr, nullptr, nullptr) == SQLITE_OK;
    sqlite3_close(handle);
    if (!done) state.SkipWithError("cannot open");
  }
}

void store_open(benchmark::State& state) {
  const Filled filled(state.range(0));
  for (auto _ : state) {
    if (!filled.sound() || !store::Store::open(filled.folder(), "bench", store::Mode::read)) {
      state.SkipWithError("cannot open");
    }
  }
}

void copy_made(benchmark::State& state) {
  const Filled filled(state.range(0));
  const auto store = store::Store::open(filled.folder(), "bench");
  if (!store) return state.SkipWithError("cannot open");
  const auto key = backup::Key::draw();
  for (auto _ : state) {
    backup::Copy copy;
    copy.header.cluster = "bench";
    auto metadata = (*store)->snapshot();
    if (metadata) copy.metadata = *std::move(metadata);
    if (copy.metadata.empty() || !backup::seal(copy, &key)) state.SkipWithError("cannot copy");
  }
}

void by_records(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(10)->Arg(1000)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(0.2)->Repetitions(5);
  benchmark->ReportAggregatesOnly();
}

BENCHMARK(sqlite_open_and_check)->Apply(by_records);
BENCHMARK(store_open)->Apply(by_records);
BENCHMARK(copy_made)->Apply(by_records);

}  // namespace
}  // namespace k4t::bench
