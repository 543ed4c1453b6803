#include "config/report.hpp"

#include <algorithm>

namespace k4t::config {

void Report::error(const Position& at, std::string_view id, std::string cause, std::string remedy) {
  add(Severity::error, at, id, std::move(cause), std::move(remedy));
}

void Report::error(const Value& value, std::string_view id, std::string cause, std::string remedy) {
  faulty_.insert(&value);
  add(Severity::error, value.at, id, std::move(cause), std::move(remedy));
}

void Report::error_at_key(const Value& value, std::string_view id, std::string cause, std::string remedy) {
  faulty_.insert(&value);
  add(Severity::error, value.key_at, id, std::move(cause), std::move(remedy));
}

void Report::warn(const Position& at, std::string_view id, std::string cause, std::string remedy) {
  add(Severity::warning, at, id, std::move(cause), std::move(remedy));
}

void Report::add(Severity severity, const Position& at, std::string_view id, std::string cause, std::string remedy) {
  diagnostics_.push_back({severity, file_, at.line, at.column, std::move(cause), std::move(remedy), std::string(id)});
}

bool Report::sound(const Value& value) const {
  return !faulty_.contains(&value) &&
         std::all_of(value.items.begin(), value.items.end(), [this](const Value& item) { return sound(item); });
}

std::vector<Diagnostic> Report::diagnostics() const {
  std::vector<Diagnostic> sorted = diagnostics_;
  sort_by_place(sorted);
  return sorted;
}

}  // namespace k4t::config
