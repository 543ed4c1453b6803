#include "participant.hpp"

#include <algorithm>
#include <utility>

namespace k4t::simulation {

bool Face::whole() const {
  if (from) return false;
  const std::string txn = at ? at->txn : std::string();
  return std::all_of(parts.begin(), parts.end(), [&](const std::string& part) { return part == txn; });
}

Reply Server::observe(const txn::EntryPtr& expected) const {
  Observation seen{stored_.at, served_.at, Content::unknown, stored_ != served_ || stored_.from.has_value(), {}, {}};
  if (!seen.half && expected && served_.at && served_.at->txn == expected->record.txn) {
    seen.content = served_.whole() ? Content::clean : Content::drifted;
  }
  return seen;
}

Reply Server::prepare(const Config& config, const txn::Preparation& what) {
  if (stored_.at != what.seen) return other_register();
  staged_.insert(what.target.txn);
  last_staged_ = what.target;
  if (config.has(Mistake::restart_serves_the_stage)) {
    stored_.at = what.target;
    stored_.parts.fill(what.target.txn);
  }
  return txn::Done{};
}

Reply Server::commit(const Config& config, const CommitRequest& what, Mishap mishap, CommitStep& step) {
  const bool begun = step.chunk > 0;
  const bool there = stored_.at && stored_.at->txn == what.target.txn && !stored_.from &&
                     (!drifted() || config.has(Mistake::repair_believes_the_register));
  if (!begun && !there && !config.has(Mistake::commit_ignores_the_register)) {
    if (stored_.at != what.seen) return other_register();
    if (!staged_.contains(what.target.txn)) return Error{Status::not_found, "not staged", {}};
  }
  const bool in_chunks = who_.group == txn::Group::dns && config.chunks > 1;
  if (in_chunks && (begun || !there)) return commit_chunk(config, what, step);
  if (there) {
    served_ = stored_;
    return CommitReply{};
  }
  return commit_at_once(config, what, mishap);
}

std::string Server::content_for(const Config& config, const Register& target) const {
  return config.has(Mistake::stage_is_not_named) && last_staged_ ? last_staged_->txn : target.txn;
}

Reply Server::commit_at_once(const Config& config, const CommitRequest& what, Mishap mishap) {
  Face next{what.target, {}, {}, 0};
  next.parts.fill(content_for(config, what.target));
  const bool apart = mishap == Mishap::power_cut;
  if (apart && config.has(Mistake::register_before_content)) next.parts = stored_.parts;
  if (apart && config.has(Mistake::content_before_register)) next.at = stored_.at;
  write(config, std::move(next));
  staged_.erase(what.target.txn);
  if (mishap == Mishap::power_cut) restart();
  const bool early = config.has(Mistake::activation_reported_early);
  if (mishap == Mishap::not_activated && early) return CommitReply{};
  if (mishap == Mishap::not_activated) return Error{Status::unavailable, "the reload failed", {}};
  if (mishap == Mishap::power_cut) return no_answer();
  served_ = stored_;
  return CommitReply{};
}

Reply Server::commit_chunk(const Config& config, const CommitRequest& what, CommitStep& step) {
  const bool careless = config.has(Mistake::chunk_without_prerequisite);
  if (step.chunk > 0 && stored_ != step.expected && !careless) return other_register();
  Face next = stored_;
  const std::uint64_t old_version = stored_.at ? stored_.at->version : 0;
  if (step.chunk == 0 && stored_.from && config.has(Mistake::resume_believes_the_register)) step.chunk = stored_.chunk;
  next.at = what.target;
  next.parts.at(step.chunk) = content_for(config, what.target);
  ++step.chunk;
  step.more = step.chunk < next.parts.size();
  next.from.reset();
  if (step.more && !config.has(Mistake::chunks_look_closed)) next.from = stored_.from.value_or(old_version);
  next.chunk = step.more ? step.chunk : 0;
  write(config, std::move(next));
  served_ = stored_;
  step.expected = stored_;
  if (step.more) return no_answer();
  staged_.erase(what.target.txn);
  return CommitReply{};
}

void Server::write(const Config& config, Face next) {
  if (config.has(Mistake::commit_is_not_synced)) unsynced_before_ = stored_;
  stored_ = std::move(next);
}

void Server::restart() {
  if (unsynced_before_) stored_ = *unsynced_before_;
  unsynced_before_.reset();
  staged_.clear();
  served_ = stored_;
}

void Server::drift() {
  stored_.parts.front() = kByHand;
  served_ = stored_;
}

void Server::replace() {
  stored_ = served_ = Face{};
  staged_.clear();
  unsynced_before_.reset();
}

void Server::rewind(std::size_t index) {
  stored_ = past_.at(index);
  staged_.clear();
  unsynced_before_.reset();
  served_ = stored_;
}

void Server::hash_into(Hash& hash) const {
  for (const Face* face : {&stored_, &served_}) {
    hash << face->at << face->from << face->chunk;
    for (const auto& part : face->parts) hash << part;
  }
  for (const auto& txn : staged_) hash << txn;
  hash << (last_staged_ ? last_staged_->txn : std::string()) << away << unsynced_before_.has_value();
}

}  // namespace k4t::simulation
