#pragma once

#include <iostream>

#include <gtest/gtest.h>

#include "k4t/conformance.hpp"

/// The conformance suites in a GoogleTest program.

namespace k4t::conformance {

/// Prints every finding; each that failed is a failure of the running test. A check that was skipped fails nothing,
/// but its reason is in the output.
inline void expect_conforms(const Findings& findings, const char* file, int line) {
  for (const Finding& finding : findings) {
    std::cout << finding << '\n';
    if (finding.verdict == Verdict::failed) ADD_FAILURE_AT(file, line) << finding.check << ": " << finding.text;
  }
}

}  // namespace k4t::conformance

#define K4T_EXPECT_CONFORMS(FINDINGS) ::k4t::conformance::expect_conforms((FINDINGS), __FILE__, __LINE__)
