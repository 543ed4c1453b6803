#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "txn/ports.hpp"
#include "txn/standing.hpp"

/// What is chosen when a majority of the witnesses, or every holder of a record, is gone for good and a user decides in
/// their place. Pure; docs/operations.md tells when it is right.

namespace k4t::operation {

/// Everything that could be read.
struct Evidence {
  std::string cluster;
  std::vector<txn::Peeked> witnesses;  ///< old ones, all that are known
  std::vector<txn::EntryPtr> records;  ///< all that could be read anywhere
  std::set<std::string> decided;       ///< txns that the master's store calls decided
  std::vector<txn::Member> members;    ///< listed or configured
  std::uint64_t highest_counter = 0;   ///< of the master's store
};

/// Who decides, and in whose words.
struct Force {
  std::string by;                         ///< see txn::ClaimRequest::holder
  std::string why;                        ///< the user's words
  std::string salt;                       ///< random
  std::vector<model::Witness> witnesses;  ///< the new set, under ids never used
};

struct Forcing {
  std::string cluster;
  txn::EntryPtr entry;                     ///< the version that begins the new history
  txn::EntryPtr chosen;                    ///< whose state it takes over
  std::uint64_t counter = 0;               ///< highest epoch counter seen
  std::set<txn::Participant> overwritten;  ///< answered: all of them get the new version, whatever they hold
};

/// How far a forced version is above all that were seen. A run of the old history stops where it sees a version that is
/// newer than its own, and takes one that is older by two or more for its own past: so what may still live of the old
/// history must never come near.
inline constexpr std::uint64_t forced_leap = 1'000'000;

/// The state of the highest (epoch, version) whose record is there, or of a later version that is known to be decided
/// or served, at a version far above all that were seen anywhere. UNAVAILABLE: no record at all is left.
Result<Forcing> choose_forced(const Evidence& evidence, const Force& force);

/// What the version after `latest` is to keep of the forced one before it: who has not been overwritten since, by what
/// `members` show against `latest`, until nobody is left and a user has acknowledged it.
std::optional<model::Forced> still_forced(const txn::Entry& latest, const std::vector<txn::Member>& members,
                                          bool acknowledges);

}  // namespace k4t::operation
