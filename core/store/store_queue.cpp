#include "store/store_impl.hpp"

/// Commands that wait for the next run of the master.

namespace k4t::store {
namespace {

struct QueueRow {
  std::int64_t id = 0;
  std::string command;
  std::string files;
  std::string by;
  Seconds at_s = 0;
  std::optional<std::string> failed;
};

QueueRow read_row(const Row& row) {
  return {row.integer(0), row.text(1),    row.text(2),
          row.text(3),    row.integer(4), row.is_null(5) ? std::nullopt : std::optional(row.text(5))};
}

}  // namespace

Result<std::int64_t> Store::enqueue(const QueuedWork& work) {
  K4T_TRY(impl_->database->run("INSERT INTO queue (command, files, by, at_s) VALUES (?, ?, ?, ?)",
                               Json(work.command).dump(), Json(work.files).dump(), work.by, work.at_s));
  return impl_->database->last_insert_id();
}

Result<std::vector<QueuedWork>> Store::queue() {
  K4T_ASSIGN(const auto rows,
             impl_->database->rows("SELECT id, command, files, by, at_s, failed FROM queue ORDER BY id", read_row));
  std::vector<QueuedWork> all;
  for (const auto& row : rows) {
    QueuedWork work{row.id, {}, {}, row.by, row.at_s, row.failed};
    K4T_ASSIGN(work.command, read_json<std::vector<std::string>>(row.command, impl_->file));
    K4T_ASSIGN(work.files, (read_json<std::map<std::string, std::string>>(row.files, impl_->file)));
    all.push_back(std::move(work));
  }
  return all;
}

Result<void> Store::mark_failed(std::int64_t id, const std::string& why) {
  return impl_->database->run("UPDATE queue SET failed = ? WHERE id = ?", why, id);
}

Result<bool> Store::dequeue(std::int64_t id) {
  K4T_TRY(impl_->database->run("DELETE FROM queue WHERE id = ?", id));
  return impl_->database->changes() == 1;
}

}  // namespace k4t::store
