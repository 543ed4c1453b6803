#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace k4t {

/// Outcome of an operation that can fail in an expected way. The numbers are those of the driver ABI (driver.h), where
/// each is explained; "unavailable" always means that nothing is known, never that something is absent.
enum class Status : std::int32_t {
  ok = 0,
  invalid_argument = 1,
  not_found = 2,
  conflict = 3,
  busy = 4,
  unsupported = 5,
  unavailable = 6,
  deadline = 7,
  fatal = 8,
};

/// The status's name as it appears in messages and JSON output, e.g. "unavailable".
constexpr std::string_view to_string(Status status) {
  switch (status) {
    case Status::ok: return "ok";
    case Status::invalid_argument: return "invalid_argument";
    case Status::not_found: return "not_found";
    case Status::conflict: return "conflict";
    case Status::busy: return "busy";
    case Status::unsupported: return "unsupported";
    case Status::unavailable: return "unavailable";
    case Status::deadline: return "deadline";
    case Status::fatal: return "fatal";
  }
  return "fatal";
}

/// Why something did not happen. `message` is one sentence for an operator: what failed and, where known, the remedy.
/// `detail` is evidence (a server's answer, a checker's output) and may have several lines; it never holds a secret.
struct Error {
  Status status = Status::fatal;
  std::string message;
  std::string detail;

  /// The same error seen from one level up: "CONTEXT: message".
  [[nodiscard]] Error within(std::string_view context) const {
    return Error{status, std::string(context) + ": " + message, detail};
  }

  friend bool operator==(const Error&, const Error&) = default;
};

/// A value or an Error. Expected failures are returned; exceptions never cross a component.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return held_.index() == 0; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] Status status() const { return ok() ? Status::ok : error().status; }

  /// REQUIRES: ok()
  [[nodiscard]] T& value() & { return assert(ok()), *std::get_if<0>(&held_); }
  [[nodiscard]] const T& value() const& { return assert(ok()), *std::get_if<0>(&held_); }
  [[nodiscard]] T&& value() && { return assert(ok()), std::move(*std::get_if<0>(&held_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// REQUIRES: !ok()
  [[nodiscard]] const Error& error() const { return assert(!ok()), *std::get_if<1>(&held_); }

 private:
  std::variant<T, Error> held_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return ok_; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] Status status() const { return ok() ? Status::ok : error_.status; }

  /// REQUIRES: !ok()
  [[nodiscard]] const Error& error() const { return assert(!ok()), error_; }

 private:
  Error error_;
  bool ok_ = true;
};

}  // namespace k4t

/// Leaves the enclosing function with EXPR's Error if it has one.
#define K4T_TRY(EXPR)                                            \
  do {                                                           \
    if (auto k4t_try = (EXPR); !k4t_try) return k4t_try.error(); \
  } while (false)

/// `K4T_ASSIGN(auto x, f());`: x is f()'s value, or the enclosing function returns its Error.
#define K4T_ASSIGN(DECLARATION, EXPR) K4T_ASSIGN_AT(DECLARATION, EXPR, __LINE__)
#define K4T_ASSIGN_AT(DECLARATION, EXPR, LINE) K4T_ASSIGN_AS(DECLARATION, EXPR, LINE)
#define K4T_ASSIGN_AS(DECLARATION, EXPR, LINE)              \
  auto k4t_result_##LINE = (EXPR);                          \
  if (!k4t_result_##LINE) return k4t_result_##LINE.error(); \
  DECLARATION = *std::move(k4t_result_##LINE)
