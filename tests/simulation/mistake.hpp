#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace k4t::simulation {

/// A way in which the protocol could be got wrong, planted on purpose: each must be found. Those of witnesses and
/// participants are switches of the simulated ones; those of the coordinator change what it sends or hears, so that the
/// code under test is the product's own.
enum class Mistake {
  none,
  // Witnesses.
  witness_keeps_epoch_only,
  late_vote_overwrites,
  repeated_vote_overwrites,
  claim_is_not_kept,
  promise_goes_back,
  vote_does_not_promise,
  claim_hides_the_vote,
  witness_answers_before_sync,
  witness_writes_in_place,
  record_after_vote,
  record_is_left_to_dns,
  blank_counts_as_fresh,
  // The coordinator.
  runs_share_an_epoch,
  minority_votes_are_dropped,
  visible_vote_counts_as_decided,
  oldest_vote_is_finished,
  store_outranks_the_witnesses,
  silence_counts_as_a_promise,
  silence_counts_as_a_vote,
  refusal_counts_as_a_vote,
  one_vote_is_enough,
  half_is_enough,
  new_set_decides_alone,
  old_set_decides_alone,
  named_set_is_not_claimed,
  every_claim_makes_registers,
  // Participants.
  commit_ignores_the_register,
  stage_is_not_named,
  restart_serves_the_stage,
  register_before_content,
  content_before_register,
  activation_reported_early,
  commit_is_not_synced,
  chunk_without_prerequisite,
  chunks_look_closed,
  resume_believes_the_register,
  // Changes by hand.
  drift_counts_as_clean,
  repair_believes_the_register,
  every_run_repairs,
  // A forced history.
  force_reuses_a_version,
  force_takes_the_next_version,
  force_reuses_witness_ids,
  force_forgets_the_absent,
  next_version_forgets_the_absent,
  absent_ones_are_caught_up,
};

struct MistakeText {
  Mistake mistake;
  std::string_view name;
  std::string_view what;  ///< for people
};

/// All but none, in the order above.
const std::vector<MistakeText>& all_mistakes();

std::optional<Mistake> mistake_named(std::string_view name);
std::string_view name_of(Mistake mistake);

}  // namespace k4t::simulation
