#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "k4t/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

/// Just enough of SQLite: prepared statements with typed parameters, and errors that an operator understands.

namespace k4t::store {

/// One row of a result; columns are counted from 0.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::uint64_t natural(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  sqlite3_stmt* statement_;
};

/// One connection. Not thread-safe.
class Database {
 public:
  /// Opens an existing file; reads nothing of it yet. A new one gets digests of its pages.
  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& file);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Statements without parameters, one after the other.
  Result<void> execute(const std::string& sql);

  /// Runs one statement for its effect.
  template <class... Args>
  Result<void> run(const char* sql, const Args&... args) {
    K4T_ASSIGN(sqlite3_stmt * statement, prepare(sql));
    bind_all(statement, args...);
    return step_all(statement);
  }

  /// All rows, each turned into a value by `read`.
  template <class Read, class... Args>
  auto rows(const char* sql, Read read, const Args&... args)
      -> Result<std::vector<std::invoke_result_t<Read, const Row&>>> {
    K4T_ASSIGN(sqlite3_stmt * statement, prepare(sql));
    bind_all(statement, args...);
    std::vector<std::invoke_result_t<Read, const Row&>> values;
    while (true) {
      K4T_ASSIGN(const bool more, step(statement));
      if (!more) return values;
      values.push_back(read(Row(statement)));
    }
  }

  /// The database as a file's bytes, as it is now, without what `leave_out`, statements, deletes from it. Its pages
  /// have digests. The same content gives the same bytes.
  Result<std::string> snapshot(const std::string& leave_out);

  /// Whether the pages of the file have digests.
  [[nodiscard]] bool has_checked_pages();

  /// How many rows the last run() changed.
  [[nodiscard]] std::int64_t changes() const;
  [[nodiscard]] std::int64_t last_insert_id() const;
  [[nodiscard]] bool in_transaction() const;

 private:
  Database(std::filesystem::path file, sqlite3* handle) : file_(std::move(file)), handle_(handle) {}

  Result<sqlite3_stmt*> prepare(const char* sql);
  /// True: there is a row. The statement is reset at its end and after an error.
  Result<bool> step(sqlite3_stmt* statement);
  Result<void> step_all(sqlite3_stmt* statement);
  [[nodiscard]] Error error(int code) const;

  template <class... Args>
  static void bind_all([[maybe_unused]] sqlite3_stmt* statement, const Args&... args) {
    [[maybe_unused]] int index = 0;
    (bind(statement, ++index, args), ...);
  }
  static void bind(sqlite3_stmt* statement, int index, std::int64_t value);
  static void bind(sqlite3_stmt* statement, int index, const std::string& value);
  template <class T>
  requires std::is_integral_v<T>
  static void bind(sqlite3_stmt* statement, int index, T value) {
    bind(statement, index, static_cast<std::int64_t>(value));
  }

  std::filesystem::path file_;
  sqlite3* handle_ = nullptr;
  std::map<std::string, sqlite3_stmt*> statements_;  ///< prepared once, by their text
};

}  // namespace k4t::store
