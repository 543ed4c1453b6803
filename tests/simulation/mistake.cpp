#include "mistake.hpp"

#include <algorithm>

namespace k4t::simulation {

const std::vector<MistakeText>& all_mistakes() {
  using enum Mistake;
  static const std::vector<MistakeText> all{
      {witness_keeps_epoch_only, "witness_keeps_epoch_only", "a vote is answered, and only its epoch is stored"},
      {late_vote_overwrites, "late_vote_overwrites", "a vote below the promise is taken"},
      {repeated_vote_overwrites, "repeated_vote_overwrites", "a repeated vote overwrites the same run's newer one"},
      {claim_is_not_kept, "claim_is_not_kept", "a claim is granted, and its epoch is not stored"},
      {promise_goes_back, "promise_goes_back", "a claim below the promise is granted"},
      {vote_does_not_promise, "vote_does_not_promise", "a vote does not raise the promise"},
      {claim_hides_the_vote, "claim_hides_the_vote", "a granted claim does not show the vote"},
      {witness_answers_before_sync, "witness_answers_before_sync", "a power cut takes back what was answered"},
      {witness_writes_in_place, "witness_writes_in_place", "a power cut tears the register: the vote is gone"},
      {record_after_vote, "record_after_vote", "a power cut leaves a vote without its record"},
      {record_is_left_to_dns, "record_is_left_to_dns", "a witness in DNS votes for a record that nobody keeps"},
      {blank_counts_as_fresh, "blank_counts_as_fresh", "a witness that lost its register promises and votes again"},
      {runs_share_an_epoch, "runs_share_an_epoch", "two runs took the same run id from a cloned disk"},
      {minority_votes_are_dropped, "minority_votes_are_dropped", "a vote seen at less than a majority is dropped"},
      {visible_vote_counts_as_decided, "visible_vote_counts_as_decided", "a vote that is seen is not voted for again"},
      {oldest_vote_is_finished, "oldest_vote_is_finished", "of two votes the one of the lower epoch is finished"},
      {store_outranks_the_witnesses, "store_outranks_the_witnesses", "the master's own log says what was decided"},
      {silence_counts_as_a_promise, "silence_counts_as_a_promise", "an unanswered claim counts as granted"},
      {silence_counts_as_a_vote, "silence_counts_as_a_vote", "an unanswered vote counts as given"},
      {refusal_counts_as_a_vote, "refusal_counts_as_a_vote", "a run that was overtaken goes on"},
      {one_vote_is_enough, "one_vote_is_enough", "the first vote decides"},
      {half_is_enough, "half_is_enough", "half of an even number of witnesses decides"},
      {new_set_decides_alone, "new_set_decides_alone", "a change of witnesses without the old set's majority"},
      {old_set_decides_alone, "old_set_decides_alone", "a change of witnesses without the new set's majority"},
      {named_set_is_not_claimed, "named_set_is_not_claimed", "the set that a vote names is not claimed"},
      {every_claim_makes_registers, "every_claim_makes_registers", "a run makes a register wherever it finds none"},
      {commit_ignores_the_register, "commit_ignores_the_register", "`seen` is not compared"},
      {stage_is_not_named, "stage_is_not_named", "a commit takes whatever was staged last"},
      {restart_serves_the_stage, "restart_serves_the_stage", "a stage lies where a restarted server reads it"},
      {register_before_content, "register_before_content", "the register is replaced first, then the content"},
      {content_before_register, "content_before_register", "the content is replaced first, then the register"},
      {activation_reported_early, "activation_reported_early", "a commit is reported before it is served"},
      {commit_is_not_synced, "commit_is_not_synced", "a commit is answered before its sync"},
      {chunk_without_prerequisite, "chunk_without_prerequisite", "a chunk does not require the last register"},
      {chunks_look_closed, "chunks_look_closed", "the register does not tell that chunks are open"},
      {resume_believes_the_register, "resume_believes_the_register", "a resumed commit skips chunks of another target"},
      {drift_counts_as_clean, "drift_counts_as_clean", "content that was changed by hand is not looked at"},
      {repair_believes_the_register, "repair_believes_the_register", "a commit leaves content whose register is right"},
      {every_run_repairs, "every_run_repairs", "changes by hand are undone though nobody asked for it"},
      {force_reuses_a_version, "force_reuses_a_version", "a forced version is one above the state it takes over"},
      {force_takes_the_next_version, "force_takes_the_next_version", "the old history can grow past a forced version"},
      {force_reuses_witness_ids, "force_reuses_witness_ids", "new registers at other places under the old ids"},
      {force_forgets_the_absent, "force_forgets_the_absent", "a forced version does not name who did not answer"},
      {next_version_forgets_the_absent, "next_version_forgets_the_absent", "the version after a forced one does not"},
      {absent_ones_are_caught_up, "absent_ones_are_caught_up", "every run overwrites what is off the chain"},
  };
  return all;
}

std::optional<Mistake> mistake_named(std::string_view name) {
  for (const auto& one : all_mistakes()) {
    if (one.name == name) return one.mistake;
  }
  return {};
}

std::string_view name_of(Mistake mistake) {
  const auto& all = all_mistakes();
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.mistake == mistake; });
  return found == all.end() ? "none" : found->name;
}

}  // namespace k4t::simulation
