#include "suite.hpp"

#include <algorithm>
#include <ostream>

namespace k4t::conformance {
namespace {

constexpr std::string_view label_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed: return "pass";
    case Verdict::failed: return "FAIL";
    case Verdict::skipped: return "skip";
  }
  return "FAIL";
}

class GivesUp final : public CallSink {
 public:
  bool cancelled() override { return true; }
};

}  // namespace

bool conforms(const Findings& findings) {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.verdict == Verdict::failed; });
}

std::ostream& operator<<(std::ostream& out, const Finding& finding) {
  out << label_of(finding.verdict) << "  " << finding.check;
  return finding.text.empty() ? out : out << ": " << finding.text;
}

Error unmet(std::string text) { return Error{Status::fatal, std::move(text), {}}; }

Expectation expect(bool holds, std::string_view promise) {
  if (holds) return {};
  return unmet("not so: " + std::string(promise));
}

bool Suite::has_capability(std::string_view name) const {
  return std::find(subject_.capabilities.begin(), subject_.capabilities.end(), name) != subject_.capabilities.end();
}

void Suite::record(std::string_view name, Verdict verdict, std::string text) {
  findings_.push_back({prefix_ + "." + std::string(name), verdict, std::move(text)});
}

Expectation Suite::returns_in_time(std::string_view method, const Json& request, CallOptions options) const {
  const auto begun = std::chrono::steady_clock::now();
  const auto reply = driver().call(method, request, options);
  const auto took = std::chrono::steady_clock::now() - begun;
  const auto limit = options.sink != nullptr ? subject_.deadline_slack : options.timeout + subject_.deadline_slack;
  K4T_TRY(expect(took <= limit, "the call returns soon after its deadline or its cancellation"));
  const Status status = reply.status();
  return expect(status == Status::ok || status == Status::deadline || status == Status::unavailable,
                "a call without time answers ok, deadline or unavailable; it answered " + told(reply));
}

void Suite::check_edge(std::string_view read_method, const Json& read_request, std::string_view strict_method,
                       const Json& strict_request) {
  check("unknown_method_is_unsupported", [&] {
    return expect_status(driver().call("no_such_method", Json::object(), options()), Status::unsupported,
                         "an unknown method");
  });
  check("malformed_request_is_invalid_argument", [&] {
    return expect_status(driver().call(strict_method, strict_request, options()), Status::invalid_argument,
                         "a request that does not fit its schema");
  });
  check("unknown_fields_are_ignored", [&] {
    Json request = read_request;
    request["field_of_a_later_version"] = {{"nested", {1, 2, 3}}};
    return expect_ok(driver().call(read_method, request, options()), "a request with an unknown field");
  });
  check("short_deadline_is_respected", [&] {
    return returns_in_time(read_method, read_request, {std::chrono::milliseconds(1), nullptr});
  });
  check("cancellation_is_respected", [&] {
    GivesUp sink;
    return returns_in_time(read_method, read_request, {subject_.timeout, &sink});
  });
  check_if(hooks().freeze && hooks().thaw, "the hooks freeze and thaw", "hanging_server_does_not_hang_the_call", [&] {
    hooks().freeze();
    const Finally thawed(hooks().thaw);
    return returns_in_time(read_method, read_request, {std::chrono::seconds(1), nullptr});
  });
  check_if(hooks().take_down && hooks().bring_up, "the hooks take_down and bring_up",
           "server_down_is_unavailable_never_empty", [&]() -> Expectation {
             {
               hooks().take_down();
               const Finally up(hooks().bring_up);
               K4T_TRY(expect_status(driver().call(read_method, read_request, options()), Status::unavailable,
                                     "reading from a server that is down"));
             }
             return expect_ok(driver().call(read_method, read_request, options()),
                              "reading after the server came back");
           });
}

}  // namespace k4t::conformance
