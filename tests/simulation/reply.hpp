#pragma once

#include "txn/coordinator.hpp"

namespace k4t::simulation {

/// What an action is answered with.
using Reply = decltype(txn::Event::reply);

constexpr const char* kCluster = "sim";

inline Error no_answer() { return {Status::unavailable, "no answer", {}}; }
inline Error too_late() { return {Status::deadline, "no answer in time", {}}; }
inline Error other_register() { return {Status::conflict, "another register", {}}; }

}  // namespace k4t::simulation
