#include <algorithm>
#include <vector>

#include "txn/coordinator_impl.hpp"

namespace k4t::txn {
namespace {

/// Appends values with separators, so that no two lists of values share one text.
class Text {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T> Text& operator<<(T value) {
    text_ += std::to_string(static_cast<long long>(value)) + ' ';
    return *this;
  }
  Text& operator<<(const std::string& value) {
    text_ += value + '|';
    return *this;
  }
  Text& operator<<(const EntryPtr& entry) { return *this << (entry ? entry->record.txn : std::string("-")); }
  Text& operator<<(const model::Epoch& epoch) { return *this << epoch.counter << epoch.run; }
  Text& operator<<(const model::Vote& vote) { return *this << vote.epoch << vote.version << vote.txn; }
  Text& operator<<(const Register& held) { return *this << held.version << held.txn << held.writer; }
  Text& operator<<(const Error& error) { return *this << error.status; }
  Text& operator<<(const Observation& seen) { return *this << seen.stored << seen.served << seen.content << seen.half; }
  Text& operator<<(const model::WitnessRegister& shown) { return *this << shown.promised << shown.open << shown.vote; }
  template <class T>
  Text& operator<<(const std::optional<T>& value) {
    if (!value) return *this << std::string("-");
    return *this << *value;
  }
  template <class T>
  Text& list(const T& values) {
    for (const auto& value : values) *this << value;
    text_ += ';';
    return *this;
  }

  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace

std::string Coordinator::fingerprint() const {
  Text text;
  text << phase_ << why_ << epoch_ << latest_ << best_ << proposal_ << writes_ << raises_ << leapt_;
  text << outcome_.verdict << outcome_.txn;
  text.list(outcome_.holders).list(fetch_tried_).list(joining_);
  for (const auto& [txn, entry] : entries_) text << txn;
  for (const auto& [id, track] : witnesses_) {
    text << id << track.claim << track.shown << track.why << track.taken_over << track.initialised;
  }
  text << voting_.entry << voting_.winner;
  text.list(voting_.yes);
  for (const auto& [who, track] : members_) {
    text << who.group << who.name << track.seen << track.why << track.goal << track.step << track.answer << track.entry
         << track.target << track.overwrite << track.repair << track.asked << track.prepared_again
         << track.committed_again;
  }
  // Ids differ by the order in which answers came; what is awaited is the same.
  std::vector<Pending> awaited;
  for (const auto& [id, pending] : pending_) awaited.push_back(pending);
  std::sort(awaited.begin(), awaited.end());
  for (const auto& pending : awaited) {
    text << pending.kind << pending.witness << pending.member.group << pending.member.name << pending.txn;
  }
  return text.take();
}

}  // namespace k4t::txn
