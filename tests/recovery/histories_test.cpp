#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "backup/keeper.hpp"
#include "backup/restore.hpp"
#include "k4t/ssh.hpp"
#include "operation/adoption.hpp"
#include "unit/operation/lab.hpp"
#include "unit/store/faulty_disk.hpp"

/// Histories of changes, copies, crashes and restores, each drawn from a seed: the master's own code with a real store,
/// real witnesses and real copies, on machines in memory. A crash is a moment after which nothing that the master does
/// has any effect: the n-th write of its store, the n-th call of a machine, or the n-th answer of a witness or
/// participant; or from that answer on it reaches one witness of three, and dies at its command's end.
///
/// Two kinds of changes are made. A *deploy* is decided by the witnesses: acknowledged, it is never lost, whatever copy
/// is restored or none. A *word* (a node's mark) only the master knows: acknowledged, it is in every copy made after
/// it, and a restore brings back the words of its copy. Nothing is ever found that nobody asked for.

namespace k4t::operation {
namespace {

namespace fs = std::filesystem;

class History {
 public:
  History(unsigned seed, const fs::path& folder) : folder_(folder), random_(seed), lab_(folder) {
    for (auto& witness : lab_.cluster.witnesses) witness.path = (folder_ / "witnesses" / witness.id).string();
    lab_.cluster.backup_key.key_file = (folder_ / "backup.key").string();
    EXPECT_TRUE(transport::local_host()->put_file(lab_.cluster.backup_key.key_file, backup::Key::draw().text(), 0600));
    for (const char* name : {"a", "b"}) {
      model::BackupPlace place;
      place.host = "local";
      place.path = (folder_ / name).string();
      lab_.cluster.backups.push_back(place);
    }
    EXPECT_TRUE(lab_.store().set_cluster_id("id"));
    EXPECT_TRUE(lab_.store().claim_for("demo"));
    disk_.on_failure = [this] { die(); };
    const auto watch = [this](fakes::Faults& faults) {
      faults.before = [this] {
        if (calls_left_ > 0 && --calls_left_ == 0) die();
      };
      machines_.push_back(&faults);
    };
    for (const char* name : {"n1", "n2"}) watch(lab_.world.node(name).faults);
    for (const char* name : {"gw1", "gw2"}) watch(lab_.world.gateway(name).member.faults);
    watch(lab_.world.dns("ns1").member.faults);
    lab_.told.watch = [this](const Happening&) {
      if (happenings_left_ > 0 && --happenings_left_ == 0) splits_ ? split() : die();
    };
    lab_.take_over = true;  // there is one master at a time, and a dead one's claim stays open
  }

  void run() {
    const unsigned length = 4 + draw(5);
    for (unsigned step = 0; step < length && !failed(); ++step) {
      lab_.now_s += 1 + draw(100);
      switch (draw(10)) {
        case 0:
        case 1:
        case 2:
        case 3: deploy(); break;
        case 4:
        case 5: say(); break;
        case 6:
        case 7:
        case 8: restore(); break;
        default: adopt(); break;
      }
    }
    if (!failed()) recover("at the end");
  }

  [[nodiscard]] std::string story() const {
    std::string text;
    for (const auto& line : story_) text += line + '\n';
    return text;
  }
  static bool failed() { return ::testing::Test::HasFailure(); }

  struct Counts {
    unsigned deploys = 0;
    unsigned crashes = 0;
    unsigned restores = 0;
    unsigned old_restores = 0;
    unsigned adoptions = 0;
  };
  Counts counts;

 private:
  unsigned draw(unsigned sides) { return static_cast<unsigned>(random_() % sides); }
  void tell(const std::string& line) { story_.push_back(line); }

  // ---- crashes ---------------------------------------------------------------------------------------------------

  /// In half of the cases the master will die in what comes.
  void maybe_crash() {
    splits_ = draw(2) == 0;
    switch (draw(6)) {
      case 0: calls_left_ = 1 + static_cast<int>(draw(30)); break;
      case 1: happenings_left_ = 1 + static_cast<int>(draw(20)); break;
      case 2: disk_.arm(static_cast<int>(draw(60)), SQLITE_IOERR, /*lasting=*/true); break;
      default: break;
    }
  }

  /// From now on one witness of three can be reached: what it votes for may be decided later, or not.
  void split() {
    const std::scoped_lock lock(dying_);
    if (dead_ || split_.exchange(true)) return;
    for (const char* id : {"w2", "w3"}) fs::rename(folder_ / "witnesses" / id, folder_ / id, ignored_);
  }

  void heal() {
    if (!split_.exchange(false)) return;
    for (const char* id : {"w2", "w3"}) {
      if (!fs::exists(folder_ / id)) continue;
      fs::remove_all(folder_ / "witnesses" / id);
      fs::rename(folder_ / id, folder_ / "witnesses" / id);
    }
  }

  /// What is under way comes to nothing, and so does what follows.
  void die() {
    const std::scoped_lock lock(dying_);
    if (dead_.exchange(true)) return;
    disk_.cut();
    for (auto* faults : machines_) faults->down = true;
    fs::rename(folder_ / "witnesses", folder_ / "witnesses.away", ignored_);
    lab_.interrupted = true;
  }

  /// Another life, on the same disk. True: the last one had died.
  bool reboot() {
    lab_.power_off();
    const std::scoped_lock lock(dying_);
    const bool died = dead_;
    calls_left_ = 0;
    happenings_left_ = 0;
    disk_.disarm();
    lab_.interrupted = false;
    for (auto* faults : machines_) faults->down = false;
    if (died) {
      ++counts.crashes;
      tell("it died");
      if (fs::exists(folder_ / "witnesses.away")) {
        fs::remove_all(folder_ / "witnesses");  // what a dead master thought it was writing to
        fs::rename(folder_ / "witnesses.away", folder_ / "witnesses");
      }
    }
    heal();
    dead_ = false;
    lab_.power_on();
    return died;
  }

  // ---- changes ---------------------------------------------------------------------------------------------------

  /// The n-th deploy can be told by what DNS serves for it.
  void deploy() {
    const unsigned number = ++deployed_;
    ++counts.deploys;
    auto web = Lab::web(1 + draw(2), draw(2) == 0 ? "app:1" : "app:" + std::to_string(number));
    web.txt = {std::to_string(number)};
    Change change{{web}, {}};
    wishes_[number] = {web};
    if (draw(2) == 0) {
      const auto api = another(1 + draw(2), draw(2) == 0 ? "api:1" : "api:" + std::to_string(number));
      change.put.push_back(api);
      wishes_[number] = {api, web};
    } else {
      change.removed.emplace_back("api");
    }
    tell("deploy " + std::to_string(number) + ", " + std::to_string(web.replicas) + " of " + web.image +
         (change.removed.empty() ? " and api" : ""));
    maybe_crash();
    const auto report = lab_.apply(change, /*force=*/true);
    const bool acknowledged = !dead_ && report && report->ending == Ending::done;
    possible_.insert(number);
    if (acknowledged) {
      settled(number);
      has_lost_memory_ = false;
    }
    if (split_) die();
    if (!acknowledged && !dead_) {
      ADD_FAILURE() << "it should have been done: " << (report && report->why ? report->why->message : "");
    }
    settle_copies();
    if (!reboot()) return;
    switch (draw(4)) {
      case 0: adopt(); break;
      case 1: restore(); break;
      default: recover("after a deploy"); break;
    }
  }

  /// A service that is sometimes there.
  static model::Service another(std::uint32_t replicas, const std::string& image) {
    auto api = Lab::web(replicas, image);
    api.name = "api";
    return api;
  }

  void say() {
    const std::string word = std::to_string(++words_);
    tell("say " + word);
    maybe_crash();
    const model::NodeMark mark{"n9", model::Mark::cordoned, word, "alpha", lab_.now_s};
    const bool said = lab_.store().put_mark(mark).ok() && !dead_;
    if (split_) die();
    possible_words_.insert(word);
    if (said) possible_words_ = {word};
    settle_copies();
    if (reboot()) recover("after a word");
  }

  void settle_copies() {
    if (dead_) return;
    const auto words = word();
    const auto made = lab_.now_s;
    const std::atomic<bool> cancelled = false;
    backup::Keeper keeper(lab_.store(), lab_.cluster, {}, cancelled);
    static_cast<void>(keeper.settle(made));
    // Whatever came of it: a copy of this moment says this word.
    if (words) copied_[made] = *words;
  }

  // ---- losses ----------------------------------------------------------------------------------------------------

  void restore() {
    if (copied_.empty()) return recover("without a copy");
    backup::Place place(lab_.cluster.backups[draw(2)], "demo", {});
    auto key = backup::Key::read(lab_.cluster.backup_key.key_file);
    ASSERT_TRUE(key);
    std::optional<std::int64_t> at_s;
    if (draw(2) == 0) {
      auto chosen = copied_.begin();
      std::advance(chosen, draw(static_cast<unsigned>(copied_.size())));
      at_s = chosen->first;
    }
    const auto fetched = backup::fetch(place, "demo", at_s, &*key, {});
    // A crash came before the first one was there.
    if (!fetched && fetched.status() == k4t::Status::not_found) return recover("without a copy");
    ASSERT_TRUE(fetched) << fetched.error().message;
    const auto& header = fetched->copy.header;
    ++counts.restores;
    has_lost_memory_ = true;
    if (fetched->name.made_at_s != copied_.rbegin()->first) ++counts.old_restores;
    tell("lost, restored from the copy of " + std::to_string(header.made_at_s) + ", version " +
         std::to_string(header.version));
    lab_.power_off();
    const fs::path state = folder_ / "state";
    if (draw(2) == 0) fs::remove_all(state);
    ASSERT_TRUE(backup::may_replace(state, header, /*force=*/true));
    const auto kept = store::Store::install(state, fetched->copy.metadata, lab_.now_s, [&](store::Store& store) {
      return note_restored(store, header.version, lab_.now_s);
    });
    ASSERT_TRUE(kept) << kept.error().message;
    lab_.power_on();
    ASSERT_TRUE(copied_.contains(header.made_at_s));
    possible_words_ = {copied_.at(header.made_at_s)};
    recover("after a restore");
  }

  void adopt() {
    tell("lost with all copies, adopted");
    ++counts.adoptions;
    has_lost_memory_ = true;
    lab_.power_off();
    fs::remove_all(folder_ / "state");
    for (const auto& place : lab_.cluster.backups) fs::remove_all(place.path);
    copied_.clear();
    lab_.power_on();
    possible_words_ = {""};
    for (bool done = false; !done;) {
      if (draw(2) == 0) maybe_crash();
      const auto adopted = operation::adopt(lab_.environment(), [](const Found& found) -> std::optional<Error> {
        const auto& unread = found.adoption.unread;
        return unread.empty() ? std::nullopt : std::optional(Error{k4t::Status::unavailable, unread.front(), {}});
      });
      if (split_) die();
      done = !reboot();
      if (!done) continue;
      // One that died may have adopted all before it did.
      ASSERT_TRUE(adopted || adopted.status() == k4t::Status::conflict) << adopted.error().message;
      if (!adopted) continue;
      EXPECT_TRUE(adopted->adoption.unexplained.empty()) << adopted->adoption.unexplained.front();
    }
    recover("after an adoption");
  }

  // ---- what must hold --------------------------------------------------------------------------------------------

  /// The next command; it may die as well.
  void recover(const std::string& when) {
    tell("recover " + when);
    for (int attempt = 0; attempt < 5; ++attempt) {
      if (attempt < 3) maybe_crash();
      auto left = lab_.master().recover();
      const auto learnt = dead_ ? Result<Report>(Error{}) : lab_.transactions().recover();
      if (split_) die();
      if (!reboot()) {
        ASSERT_TRUE(left) << left.error().message;
        ASSERT_FALSE(left->why) << left->why->message << ' ' << left->why->detail;
        ASSERT_TRUE(learnt) << learnt.error().message;
        check(when);
        return;
      }
    }
    FAIL() << "no end";
  }

  void settled(unsigned number) { possible_ = {number}; }

  [[nodiscard]] std::optional<std::string> word() {
    const auto marks = lab_.store().marks();
    if (!marks) return std::nullopt;
    return marks->empty() ? std::string() : marks->front().why;
  }

  /// The number of the deploy that DNS serves; 0: none yet.
  unsigned served() {
    for (const auto& set : lab_.world.dns("ns1").member.state.records) {
      if (set.type == dns::Type::txt) return static_cast<unsigned>(std::stoul(set.values.front()));
    }
    return 0;
  }

  template <class State>
  static std::string txn_of(const fakes::Participant<State>& member) {
    return member.held ? member.held->txn : std::string();
  }

  void check(const std::string& when) {
    const unsigned now = served();
    EXPECT_TRUE(possible_.contains(now)) << when << ": deploy " << now << " is served";
    settled(now);
    for (const char* gateway : {"gw1", "gw2"}) {
      EXPECT_EQ(txn_of(lab_.world.gateway(gateway).member), txn_of(lab_.world.dns("ns1").member)) << when;
    }
    EXPECT_THAT(lab_.world.broken_routes(), ::testing::IsEmpty()) << when;
    const auto declared = lab_.store().services();
    ASSERT_TRUE(declared);
    // Of what a deploy that came to nothing has made, or one that was deleted has not removed yet, a master without its
    // memory cannot tell that nobody wants it: it is declared, and nobody is led there. A copy that has such a one may
    // declare it when it is gone, which a restore tells.
    auto found = *declared;
    if (has_lost_memory_) std::erase_if(found, [](const auto& one) { return one.name == "api" && one.expose.empty(); });
    if (now > 0) {
      EXPECT_EQ(Json(found), Json(wishes_.at(now))) << when;
    }
    const auto preview = lab_.master().preview({});
    ASSERT_TRUE(preview) << preview.error().message;
    // Where nothing was decided yet, even a state that leads nowhere is a first one.
    EXPECT_FALSE(preview->plan.state_changes && now > 0) << when;
    EXPECT_TRUE(now > 0 || preview->plan.state.gateways.backends.empty()) << when;
    for (const auto& creation : preview->plan.creations) {
      EXPECT_TRUE(has_lost_memory_ && creation.placed.service == "api" && found.size() < declared->size())
          << when << ": something healthy was lost or is not believed";
    }
    const auto words = word();
    ASSERT_TRUE(words);
    EXPECT_TRUE(possible_words_.contains(*words)) << when << ": the word is '" << *words << "'";
    possible_words_ = {*words};
  }

  fs::path folder_;
  std::mt19937 random_;
  testing::FaultyDisk disk_;
  Lab lab_;
  std::vector<fakes::Faults*> machines_;
  std::atomic<int> calls_left_ = 0;
  std::atomic<int> happenings_left_ = 0;
  std::atomic<bool> dead_ = false;
  std::atomic<bool> splits_ = false;  ///< what comes of the n-th answer
  std::atomic<bool> split_ = false;
  std::mutex dying_;
  std::error_code ignored_;

  unsigned deployed_ = 0;
  unsigned words_ = 0;
  std::map<unsigned, std::vector<model::Service>> wishes_;
  bool has_lost_memory_ = false;
  std::set<unsigned> possible_{0};              ///< deploys of which one is, or will be found to be, the latest
  std::set<std::string> possible_words_{""};    ///< in the same way
  std::map<std::int64_t, std::string> copied_;  ///< the word in the copies of that time
  std::vector<std::string> story_;
};

/// In parts that can go side by side. Of each the first so many; K4T_HISTORIES=2500 goes through all 10,000.
constexpr unsigned parts = 4;
constexpr unsigned part_length = 2500;
constexpr unsigned usual_length = 250;

/// A variable of the environment, or that.
unsigned asked(const char* name, unsigned otherwise) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? otherwise : static_cast<unsigned>(std::stoul(text));
}

class Histories : public ::testing::TestWithParam<unsigned> {};

TEST_P(Histories, LoseNothingAcknowledgedAndInventNothing) {
  const unsigned many = asked("K4T_HISTORIES", usual_length);
  const unsigned begin = asked("K4T_SEED", GetParam() * part_length);
  History::Counts all;
  const k4t::testing::Scratch scratch;
  for (unsigned seed = begin; seed < begin + many; ++seed) {
    const fs::path folder = scratch.path() / std::to_string(seed);
    History history(seed, folder);
    history.run();
    fs::remove_all(folder);
    all.deploys += history.counts.deploys;
    all.crashes += history.counts.crashes;
    all.restores += history.counts.restores;
    all.old_restores += history.counts.old_restores;
    all.adoptions += history.counts.adoptions;
    ASSERT_FALSE(History::failed()) << "K4T_SEED=" << seed << " K4T_HISTORIES=1 shows it again:\n" << history.story();
  }
  std::printf("%u histories: %u deploys, %u crashes, %u restores, %u of them from an older copy, %u adoptions\n", many,
              all.deploys, all.crashes, all.restores, all.old_restores, all.adoptions);
  if (many < usual_length) return;
  // They are no histories of nothing.
  EXPECT_GT(all.crashes, many / 2);
  EXPECT_GT(all.old_restores, many / 20);
  EXPECT_GT(all.adoptions, many / 4);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Histories, ::testing::Range(0U, parts));

}  // namespace
}  // namespace k4t::operation
