#pragma once

#include <utility>

#include "txn/coordinator.hpp"

/// What the coordinator's own source files share; for nobody else.

namespace k4t::txn {

template <class What>
void Coordinator::act(Pending pending, What what) {
  const std::uint64_t id = next_id_++;
  pending_.emplace(id, std::move(pending));
  actions_.push_back(Action{id, std::move(what)});
}

/// The event's error, or nullptr.
inline const Error* error_of(const Event& event) { return std::get_if<Error>(&event.reply); }

/// For an answer of another kind than the action asks for: a defect of the runner, taken as no answer.
inline Error wrong_answer() { return {Status::fatal, "an answer of the wrong kind", {}}; }

}  // namespace k4t::txn
