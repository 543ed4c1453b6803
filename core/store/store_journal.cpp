#include "store/store_impl.hpp"

/// The cache of the redo log, operations with their journals, and endpoints.

namespace k4t::store {
namespace {

model::Record record_at(const Row& row, int first) {
  return {row.natural(first), row.text(first + 1), row.text(first + 2), row.text(first + 3)};
}

/// An operation with its JSON still as text.
struct RawOperation {
  Operation operation;
  std::string arguments;
};

RawOperation raw_operation(const Row& row) {
  RawOperation raw;
  raw.operation.id = row.integer(0);
  raw.operation.kind = row.text(1);
  raw.arguments = row.text(2);
  raw.operation.phase = row.text(3);
  raw.operation.started_s = row.integer(4);
  if (!row.is_null(5)) raw.operation.ended_s = row.integer(5);
  if (!row.is_null(6)) raw.operation.outcome = row.text(6);
  return raw;
}

Result<std::vector<Operation>> finished(Result<std::vector<RawOperation>> raws, const std::filesystem::path& file) {
  if (!raws) return raws.error();
  std::vector<Operation> result;
  for (auto& raw : *raws) {
    K4T_ASSIGN(raw.operation.arguments, read_json<Json>(raw.arguments, file));
    result.push_back(std::move(raw.operation));
  }
  return result;
}

Error no_operation(std::int64_t id) {
  return {Status::not_found, "there is no unfinished operation " + std::to_string(id), {}};
}

}  // namespace

Result<void> Store::put_record(const model::Record& record, bool decided) {
  return atomically([&]() -> Result<void> {
    Database& database = *impl_->database;
    if (decided) {
      K4T_TRY(database.run("DELETE FROM records WHERE version = ? AND txn <> ? AND decided = 0", record.version,
                           record.txn));
    }
    // The index allows one decided record per version: a second one is refused.
    auto put = database.run(
        "INSERT INTO records (txn, version, base, state_text, decided) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (txn) DO UPDATE SET decided = max(decided, excluded.decided)",
        record.txn, record.version, record.base, record.state_text, decided);
    if (put.status() != Status::conflict) return put;
    return Error{Status::fatal,
                 "two states are called decided for version " + std::to_string(record.version) +
                     ": a witness was rewound, or the metadata is of another history",
                 put.error().detail};
  });
}

Result<std::optional<model::Record>> Store::latest_decided() {
  K4T_ASSIGN(auto found, impl_->database->rows("SELECT version, base, txn, state_text FROM records WHERE decided = 1"
                                               " ORDER BY version DESC LIMIT 1",
                                               [](const Row& row) { return record_at(row, 0); }));
  return found.empty() ? std::optional<model::Record>() : std::optional<model::Record>(std::move(found.front()));
}

Result<std::vector<KeptRecord>> Store::records() {
  return impl_->database->rows("SELECT decided, version, base, txn, state_text FROM records ORDER BY version, txn",
                               [](const Row& row) {
                                 return KeptRecord{record_at(row, 1), row.integer(0) != 0};
                               });
}

Result<void> Store::prune_records(std::uint64_t before_version) {
  return impl_->database->run("DELETE FROM records WHERE version < ?", before_version);
}

Result<std::int64_t> Store::begin_operation(const std::string& kind, const Json& arguments, const std::string& phase,
                                            Seconds now_s) {
  K4T_TRY(impl_->database->run("INSERT INTO operations (kind, arguments, phase, started_s) VALUES (?, ?, ?, ?)", kind,
                               arguments.dump(), phase, now_s));
  return impl_->database->last_insert_id();
}

Result<void> Store::set_phase(std::int64_t operation, const std::string& phase) {
  K4T_TRY(impl_->database->run("UPDATE operations SET phase = ? WHERE id = ? AND ended_s IS NULL", phase, operation));
  return impl_->database->changes() == 1 ? Result<void>() : no_operation(operation);
}

Result<void> Store::end_operation(std::int64_t operation, const std::string& outcome, Seconds now_s) {
  K4T_TRY(impl_->database->run("UPDATE operations SET outcome = ?, ended_s = ? WHERE id = ? AND ended_s IS NULL",
                               outcome, now_s, operation));
  return impl_->database->changes() == 1 ? Result<void>() : no_operation(operation);
}

Result<std::vector<Operation>> Store::unfinished_operations() {
  return finished(impl_->database->rows("SELECT id, kind, arguments, phase, started_s, ended_s, outcome"
                                        " FROM operations WHERE ended_s IS NULL ORDER BY id",
                                        raw_operation),
                  impl_->file);
}

Result<std::vector<Operation>> Store::operations(std::uint32_t limit) {
  return finished(impl_->database->rows("SELECT id, kind, arguments, phase, started_s, ended_s, outcome"
                                        " FROM operations ORDER BY id DESC LIMIT ?",
                                        raw_operation, limit),
                  impl_->file);
}

Result<std::int64_t> Store::intend(std::int64_t operation, const std::string& kind, const Json& detail, Seconds now_s) {
  K4T_ASSIGN(const auto next,
             impl_->database->rows(
                 "INSERT INTO steps (operation, sequence, kind, detail, at_s) SELECT ?, coalesce(max(sequence), 0) + 1,"
                 " ?, ?, ? FROM steps WHERE operation = ? RETURNING sequence",
                 [](const Row& row) { return row.integer(0); }, operation, kind, detail.dump(), now_s, operation));
  return next.front();
}

Result<void> Store::finish_step(std::int64_t operation, std::int64_t sequence, const Json& result, Seconds now_s) {
  K4T_TRY(impl_->database->run("UPDATE steps SET done = 1, result = ?, at_s = ? WHERE operation = ? AND sequence = ?",
                               result.dump(), now_s, operation, sequence));
  if (impl_->database->changes() == 1) return {};
  return Error{
      Status::not_found, "operation " + std::to_string(operation) + " has no step " + std::to_string(sequence), {}};
}

Result<std::vector<Step>> Store::steps(std::int64_t operation) {
  struct Raw {
    Step step;
    std::string detail;
    std::string result;
  };
  K4T_ASSIGN(auto raws, impl_->database->rows(
                            "SELECT sequence, kind, detail, done, result, at_s FROM steps WHERE operation = ?"
                            " ORDER BY sequence",
                            [](const Row& row) {
                              Raw raw;
                              raw.step.sequence = row.integer(0);
                              raw.step.kind = row.text(1);
                              raw.detail = row.text(2);
                              raw.step.done = row.integer(3) != 0;
                              raw.result = row.text(4);
                              raw.step.at_s = row.integer(5);
                              return raw;
                            },
                            operation));
  std::vector<Step> result;
  for (auto& raw : raws) {
    K4T_ASSIGN(raw.step.detail, read_json<Json>(raw.detail, impl_->file));
    K4T_ASSIGN(raw.step.result, read_json<Json>(raw.result, impl_->file));
    result.push_back(std::move(raw.step));
  }
  return result;
}

Result<void> Store::reserve(const std::string& address, std::uint16_t port, const std::string& instance) {
  K4T_TRY(
      impl_->database->run("INSERT INTO endpoints (address, port, instance) VALUES (?, ?, ?)"
                           " ON CONFLICT (address, port) DO UPDATE SET port = port"
                           " WHERE instance = excluded.instance AND removed_in IS NULL",
                           address, port, instance));
  if (impl_->database->changes() == 1) return {};
  return Error{Status::conflict, "the endpoint " + address + " port " + std::to_string(port) + " is not free", {}};
}

Result<void> Store::mark_removed(const std::string& address, std::uint16_t port, std::uint64_t removed_in) {
  return impl_->database->run("UPDATE endpoints SET removed_in = ? WHERE address = ? AND port = ?", removed_in, address,
                              port);
}

Result<std::vector<Reservation>> Store::reservations() {
  return impl_->database->rows(
      "SELECT address, port, instance, removed_in FROM endpoints ORDER BY address, port", [](const Row& row) {
        Reservation one{row.text(0), static_cast<std::uint16_t>(row.integer(1)), row.text(2), {}};
        if (!row.is_null(3)) one.removed_in = row.natural(3);
        return one;
      });
}

Result<void> Store::release_passed(std::uint64_t passed) {
  return impl_->database->run("DELETE FROM endpoints WHERE removed_in IS NOT NULL AND removed_in <= ?", passed);
}

Result<void> Store::release(const std::string& address, std::uint16_t port) {
  return impl_->database->run("DELETE FROM endpoints WHERE address = ? AND port = ?", address, port);
}

}  // namespace k4t::store
