#include <array>
#include <string_view>

#include "world.hpp"

/// A world in words, for whoever reads why a path failed.

namespace k4t::simulation {
namespace {

std::string text_of(const model::Epoch& epoch) { return "(" + std::to_string(epoch.counter) + "," + epoch.run + ")"; }

std::string text_of(std::uint64_t version, const std::string& txn) {
  return std::to_string(version) + "/" + txn.substr(0, 6);
}

std::string text_of(const std::optional<Register>& held) {
  return held ? text_of(held->version, held->txn) + " by " + held->writer : std::string("blank");
}

std::string text_of(const std::optional<model::WitnessRegister>& held) {
  if (!held) return "blank";
  std::string text = "promised " + text_of(held->promised);
  if (held->vote) text += ", voted " + text_of(held->vote->epoch) + " " + text_of(held->vote->version, held->vote->txn);
  return text;
}

std::string text_of(const txn::Note& note) {
  std::string text = "note counter " + std::to_string(note.counter);
  for (const auto& id : note.initialised) text += ", made " + id;
  if (note.entry) text += ", version " + text_of(note.entry->record.version, note.entry->record.txn);
  return text + (note.decided ? " decided" : "");
}

std::string text_of(const txn::Action& action) {
  return std::visit(
      [](const auto& what) -> std::string {
        using What = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<What, txn::action::Claim>) {
          return "claim " + what.at.id + " " + text_of(what.request.epoch) +
                 (what.request.initialise ? " making it" : "");
        } else if constexpr (std::is_same_v<What, txn::action::Vote>) {
          return "vote " + what.at.id + " " + text_of(what.epoch) + " " +
                 text_of(what.entry->record.version, what.entry->record.txn);
        } else if constexpr (std::is_same_v<What, txn::action::Fetch>) {
          return "fetch " + what.at.id + " " + what.txn.substr(0, 6);
        } else if constexpr (std::is_same_v<What, txn::action::Close>) {
          return "close " + what.at.id;
        } else if constexpr (std::is_same_v<What, txn::action::Observe>) {
          return "observe " + what.at.name;
        } else if constexpr (std::is_same_v<What, txn::action::Abort>) {
          return "abort " + what.at.name + " " + what.txn.substr(0, 6);
        } else if constexpr (std::is_same_v<What, txn::action::Prepare>) {
          return "prepare " + what.at.name + " " + text_of(what.what.target) + ", seen " + text_of(what.what.seen);
        } else if constexpr (std::is_same_v<What, txn::action::Commit>) {
          return "commit " + what.at.name + " " + text_of(what.what.target) + ", seen " + text_of(what.what.seen);
        } else {
          return text_of(what);
        }
      },
      action.what);
}

std::string text_of(const Face& face) {
  std::string text = text_of(face.at);
  if (face.from) text += " from=" + std::to_string(*face.from);
  if (!face.whole()) text += " [" + face.parts[0].substr(0, 6) + " " + face.parts[1].substr(0, 6) + "]";
  return text;
}

/// In the order of Choice::Kind.
constexpr std::array<std::string_view, 24> kNames{"starts at host",
                                                  "delivered",
                                                  "late",
                                                  "lost",
                                                  "answer lost",
                                                  "delayed",
                                                  "repeated",
                                                  "expire",
                                                  "half done",
                                                  "refused",
                                                  "power cut",
                                                  "crashes",
                                                  "loses its state",
                                                  "is rebooted",
                                                  "is rebooted",
                                                  "leaves",
                                                  "comes back",
                                                  "is replaced",
                                                  "is rewound to",
                                                  "loses its store",
                                                  "is rewound to",
                                                  "is cloned from",
                                                  "is changed by hand",
                                                  "a user forces history at host"};

}  // namespace

std::optional<std::size_t> World::run_of(const Choice& choice) const {
  switch (choice.kind) {
    case Choice::Kind::start:
    case Choice::Kind::crash: return choice.index;
    case Choice::Kind::deliver:
    case Choice::Kind::late:
    case Choice::Kind::lose:
    case Choice::Kind::lose_answer:
    case Choice::Kind::delay:
    case Choice::Kind::repeat:
    case Choice::Kind::half:
    case Choice::Kind::refuse:
    case Choice::Kind::cut: return messages_[choice.index].run;
    default: return {};
  }
}

std::string World::describe(const Choice& choice) const {
  using Kind = Choice::Kind;
  const std::string name(kNames.at(static_cast<std::size_t>(choice.kind)));
  const std::string detail = " " + std::to_string(choice.detail);
  switch (choice.kind) {
    case Kind::expire: return "the next deadline passes";
    case Kind::start: return "run " + id_of(choice.index) + " " + name + detail;
    case Kind::crash: return "run " + id_of(choice.index) + " " + name;
    case Kind::wipe:
    case Kind::reboot_witness: return witnesses_[choice.index].at().id + " " + name;
    case Kind::reboot_server:
    case Kind::leave:
    case Kind::come_back:
    case Kind::drift:
    case Kind::replace: return servers_[choice.index].who().name + " " + name;
    case Kind::rewind: return servers_[choice.index].who().name + " " + name + detail;
    case Kind::lose_store: return "host " + std::to_string(choice.index) + " " + name;
    case Kind::force: return name + " " + std::to_string(choice.index) + ", answered by" + detail;
    case Kind::rewind_store:
    case Kind::clone_store: return "host " + std::to_string(choice.index) + " " + name + detail;
    default: break;
  }
  const Message& message = messages_[choice.index];
  return "run " + id_of(message.run) + ": " + text_of(*message.action) + ": " + name;
}

std::string World::describe() const {
  std::string text;
  for (const auto& one : witnesses_) text += one.at().id + ": " + text_of(one.held()) + "\n";
  for (const auto& server : servers_) {
    text += txn::to_string(server.who()) + ": serves " + text_of(server.served());
    if (server.stored() != server.served()) text += ", holds " + text_of(server.stored());
    text += server.away ? ", away\n" : "\n";
  }
  for (std::size_t at = 0; at < runs_.size(); ++at) {
    const Run& run = *runs_[at];
    if (!run.coordinator) continue;
    text += "run " + id_of(at) + ": " + std::string(txn::to_string(run.coordinator->phase())) +
            (run.dead ? ", dead" : "") + "\n";
  }
  if (watcher_.forced()) text += "in the newest history ";
  for (const auto& [version, entry] : watcher_.decided()) {
    text += "decided: " + text_of(version, entry->record.txn) + " by";
    for (const auto& set : txn::deciding_sets(entry->state)) {
      text += " {";
      for (const auto& one : set) text += " " + one.id;
      text += " }";
    }
    text += "\n";
  }
  return text + "at " + std::to_string(now_.count()) + " ms\n";
}

}  // namespace k4t::simulation
