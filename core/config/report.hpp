#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/message_ids.hpp"
#include "config/value.hpp"

namespace k4t::config {

/// Collects what is wrong with one file, and remembers which values are faulty so that later checks do not report what
/// merely follows from an earlier error. The values must outlive it and stay where they are.
class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  [[nodiscard]] const std::string& file() const { return file_; }

  void error(const Position& at, std::string_view id, std::string cause, std::string remedy);
  /// At the value; marks it as faulty.
  void error(const Value& value, std::string_view id, std::string cause, std::string remedy);
  /// At the value's key; marks it as faulty.
  void error_at_key(const Value& value, std::string_view id, std::string cause, std::string remedy);
  void warn(const Position& at, std::string_view id, std::string cause, std::string remedy);

  /// True when neither the value nor anything in it has been found faulty.
  [[nodiscard]] bool sound(const Value& value) const;

  /// Sorted by place, without repetitions.
  [[nodiscard]] std::vector<Diagnostic> diagnostics() const;

 private:
  void add(Severity severity, const Position& at, std::string_view id, std::string cause, std::string remedy);

  std::string file_;
  std::vector<Diagnostic> diagnostics_;
  std::set<const Value*> faulty_;
};

}  // namespace k4t::config
