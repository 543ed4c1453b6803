#pragma once

#include "operation/course.hpp"
#include "operation/run.hpp"
#include "operation/transactions.hpp"

/// What the sources of Transactions share; for nobody else.

namespace k4t::operation {

struct Transactions::Impl {
  explicit Impl(Environment environment) : env(std::move(environment)), run(env), conductor(env, run) {}

  Environment env;
  Run run;
  Conductor conductor;
};

inline std::vector<model::Witness> places_of(const std::vector<txn::Peeked>& witnesses) {
  std::vector<model::Witness> places;
  places.reserve(witnesses.size());
  for (const auto& one : witnesses) places.push_back(one.at);
  return places;
}

}  // namespace k4t::operation
