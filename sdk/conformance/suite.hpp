#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "k4t/conformance.hpp"

/// What the suites share: recording findings and saying what was expected.

namespace k4t::conformance {

/// An expectation's outcome; the Error's message tells what was expected and what came.
using Expectation = Result<void>;

Error unmet(std::string text);
Expectation expect(bool holds, std::string_view promise);

/// "ok", or the status and the reason.
template <class T>
std::string told(const Result<T>& result) {
  if (result) return "ok";
  const Error& error = result.error();
  return std::string(to_string(error.status)) + " (" + error.message + ")";
}

template <class T>
Expectation expect_status(const Result<T>& result, Status wanted, std::string_view what) {
  if (result.status() == wanted) return {};
  return unmet(std::string(what) + " must answer " + std::string(to_string(wanted)) + ", not " + told(result));
}

template <class T>
Expectation expect_ok(const Result<T>& result, std::string_view what) {
  return expect_status(result, Status::ok, what);
}

/// Collects findings under a common prefix.
class Suite {
 public:
  Suite(std::string prefix, const Subject& subject) : prefix_(std::move(prefix)), subject_(subject) {}

  /// Runs `body` (→ Expectation) and records its outcome; an exception is a failure.
  template <class Body>
  void check(std::string_view name, Body&& body) {
    try {
      const Expectation outcome = std::forward<Body>(body)();
      record(name, outcome ? Verdict::passed : Verdict::failed, outcome ? "" : outcome.error().message);
    } catch (const std::exception& error) {
      record(name, Verdict::failed, std::string("exception: ") + error.what());
    }
  }

  /// As check, where `available`; else skipped with "needs REQUIREMENT".
  template <class Body>
  void check_if(bool available, std::string_view requirement, std::string_view name, Body&& body) {
    if (available) return check(name, std::forward<Body>(body));
    record(name, Verdict::skipped, "needs " + std::string(requirement));
  }

  [[nodiscard]] bool has_capability(std::string_view name) const;
  [[nodiscard]] CallOptions options() const { return {subject_.timeout, nullptr}; }
  [[nodiscard]] const Hooks& hooks() const { return subject_.hooks; }
  [[nodiscard]] Callee& driver() const { return *subject_.driver; }

  /// The promises that are the same for every kind. `read` is a method that changes nothing, with a request that
  /// works; `strict` one with a request that does not fit, e.g. text where an object belongs.
  void check_edge(std::string_view read_method, const Json& read_request, std::string_view strict_method,
                  const Json& strict_request);

  Findings take() { return std::move(findings_); }

 private:
  void record(std::string_view name, Verdict verdict, std::string text);
  Expectation returns_in_time(std::string_view method, const Json& request, CallOptions options) const;

  std::string prefix_;
  const Subject& subject_;
  Findings findings_;
};

/// Calls `undo` at the end of the scope, so that a failed expectation leaves the server as the next check needs it.
class Finally {
 public:
  explicit Finally(const std::function<void()>& undo) : undo_(undo) {}
  ~Finally() {
    try {
      undo_();
    } catch (...) {  // the next check's observation tells
    }
  }
  Finally(const Finally&) = delete;
  Finally& operator=(const Finally&) = delete;

 private:
  const std::function<void()>& undo_;
};

}  // namespace k4t::conformance
