#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <system_error>

#include "backup/keeper.hpp"
#include "backup/restore.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/render_backup.hpp"
#include "platform/parallel.hpp"

/// Copies of the metadata: init, backup now, backup ls, backup verify; and what other commands do about them.

namespace k4t::cli {
namespace {

using backup::PlaceStanding;

backup::Keeper keeper_of(Session& session, store::Store& store) {
  return {store, session.cluster(), session.copied_files(), interrupted()};
}

Error no_places() {
  return {Status::invalid_argument,
          "k4t.toml has no [[backup]] table: name a machine that is to keep copies, e.g. [[backup]] with node = \"n1\"",
          {}};
}

Result<void> require_places(const model::Cluster& cluster, const std::vector<std::string>& names) {
  if (cluster.backups.empty()) return no_places();
  for (const auto& name : names) {
    const auto is_it = [&](const model::BackupPlace& place) { return place.title() == name; };
    if (std::any_of(cluster.backups.begin(), cluster.backups.end(), is_it)) continue;
    std::string known;
    for (const auto& place : cluster.backups) known += (known.empty() ? "" : ", ") + place.title();
    return Error{Status::invalid_argument, "no copies are kept on '" + name + "'; they are on: " + known, {}};
  }
  return {};
}

/// Looks at the copies of one place; with a key also inside.
class Reader {
 public:
  Reader(const Session& session, const backup::Key* key, bool opens) : session_(session), key_(key), opens_(opens) {}

  [[nodiscard]] std::vector<CopyLine> read(const model::BackupPlace& config) const {
    backup::Place place(config, session_.cluster().name, session_.cluster().ssh);
    const auto copies = place.list(copy_limits());
    if (!copies) return {{config.title(), std::nullopt, std::nullopt, copies.error()}};
    if (copies->empty()) return {{config.title(), std::nullopt, std::nullopt, std::nullopt}};
    std::vector<CopyLine> lines;
    for (const auto& name : *copies) {
      CopyLine line{config.title(), name, std::nullopt, std::nullopt};
      if (opens_) {
        const auto sound = backup::open_copy(place, name, session_.cluster().name, key_, copy_limits());
        line.sound = sound.ok();
        if (!sound) line.why = sound.error();
      }
      lines.push_back(std::move(line));
    }
    return lines;
  }

 private:
  const Session& session_;
  const backup::Key* key_;
  const bool opens_;
};

Exit look(const Globals& globals, const std::vector<std::string>& places, bool opens) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (const auto there = require_places(session->cluster(), places); !there) return refused(globals, there.error());
  std::optional<backup::Key> key;
  if (opens) {
    auto opened = backup::open_key(session->cluster().backup_key);
    if (!opened) return refused(globals, opened.error());
    key = *std::move(opened);
  }
  const Reader reader(*session, key ? &*key : nullptr, opens);
  std::vector<model::BackupPlace> chosen = session->cluster().backups;
  std::erase_if(chosen, [&](const auto& place) {
    return !places.empty() && std::find(places.begin(), places.end(), place.title()) == places.end();
  });
  const auto read = platform::parallel_map(chosen, chosen.size(),
                                           [&](const model::BackupPlace& place) { return reader.read(place); });
  std::vector<CopyLine> lines;
  for (const auto& some : read) lines.insert(lines.end(), some.begin(), some.end());
  globals.json ? print_json(copies_json(lines))
               : put(stdout, render_copies(lines, std::time(nullptr), terminal_of(stdout).colours));
  const bool sick = std::any_of(lines.begin(), lines.end(), [](const CopyLine& line) { return line.why.has_value(); });
  return sick ? Exit::failed : Exit::done;
}

/// False: there is one already.
Result<bool> write_key(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0 && errno == EEXIST) return false;
  const auto failed = [&path] {
    return Error{Status::unavailable, "cannot write " + path + ": " + std::generic_category().message(errno), {}};
  };
  if (file < 0) return failed();
  const std::string text = backup::Key::draw().text();
  const bool written =
      ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file) == 0;
  const Error why = failed();
  ::close(file);
  if (written) return true;
  ::unlink(path.c_str());
  return why;
}

}  // namespace

transport::Limits copy_limits() {
  transport::Limits limits;
  limits.timeout = std::chrono::minutes(2);
  limits.cancelled = [] { return interrupted().load(); };
  return limits;
}

Exit keep_copies(Session& session, const char* command, Exit exit) {
  if (session.cluster().backups.empty() || exit == Exit::usage || exit == Exit::failed) return exit;
  auto* store = session.store(command);
  if (store == nullptr) return exit;
  session.end_copies_beside();
  auto keeper = keeper_of(session, *store);
  const auto standings = keeper.settle(std::time(nullptr));
  if (!standings) {
    print_error({}, standings.error());
    if (!session.globals().json) put(stdout, "not copied: the metadata of this change is on this machine only\n");
  } else if (!session.globals().json) {
    put(stdout, render_sent(*standings, terminal_of(stdout).colours));
  } else if (!backup::is_kept_elsewhere(*standings)) {
    put(stderr, render_sent(*standings, false));
  }
  const bool safe = standings && backup::is_kept_elsewhere(*standings);
  return exit == Exit::done && !safe && !session.cluster().accept_single_copy ? Exit::single_copy : exit;
}

std::vector<PlaceStanding> look_at_copies(Session& session, store::Store& store) {
  const auto standings = keeper_of(session, store).standings();
  if (!standings) print_error({}, standings.error());
  return standings ? *standings : std::vector<PlaceStanding>{};
}

Exit run_init(const Globals& globals) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (session->store("init") == nullptr) return Exit::failed;
  const auto& cluster = session->cluster();
  const auto id = session->store("init")->cluster_id();
  if (!id) return refused(globals, id.error());
  const std::string& file = cluster.backup_key.key_file;
  const auto made = file.empty() ? Result<bool>(false) : write_key(file);
  if (!made) return refused(globals, made.error());
  // One that is there already must be a key.
  if (const auto key = backup::open_key(cluster.backup_key); !key) return refused(globals, key.error());
  if (globals.json) {
    print_json(Json{{"cluster", cluster.name}, {"id", id->value_or("")}, {"key_file", file}, {"made", *made}});
    return Exit::done;
  }
  std::string text = "Cluster " + cluster.name + " (" + id->value_or("") + ")\n";
  if (*made) {
    text += "\nNew backup key: " + file +
            "\n\nKeep a copy of this file away from this machine and from those that keep the copies, now: on paper,\n"
            "in a password safe. Whoever has it can read all copies; without it none can be restored.\n";
  } else if (!file.empty()) {
    text += "The backup key is there already: " + file + "\n";
  } else if (!cluster.backup_key.passphrase_file.empty()) {
    text += "Copies are encrypted with the passphrase in " + cluster.backup_key.passphrase_file + "\n";
  } else {
    text += "Copies are not encrypted (cluster.backup.encrypt = false).\n";
  }
  if (cluster.backups.empty()) text += "No copies are kept anywhere yet: " + no_places().message + "\n";
  put(stdout, printable(text, true));
  return Exit::done;
}

Exit run_backup_now(const Globals& globals, const std::vector<std::string>& places) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (const auto there = require_places(session->cluster(), places); !there) return refused(globals, there.error());
  auto* store = session->store("backup now");
  if (store == nullptr) return Exit::failed;
  const auto standings = keeper_of(*session, *store).send(std::time(nullptr), places);
  if (!standings) return refused(globals, standings.error());
  globals.json ? print_json(standings_json(*standings))
               : put(stdout, render_sent(*standings, terminal_of(stdout).colours));
  const auto sent = std::count_if(standings->begin(), standings->end(), [](const auto& one) { return one.sent; });
  const auto failed = std::count_if(standings->begin(), standings->end(), [](const auto& one) { return !!one.why; });
  if (failed == 0) return Exit::done;
  return sent == 0 ? Exit::failed : Exit::partly;
}

Exit run_backup_ls(const Globals& globals, const std::vector<std::string>& places) {
  return look(globals, places, /*opens=*/false);
}

Exit run_backup_verify(const Globals& globals, const std::vector<std::string>& places) {
  return look(globals, places, /*opens=*/true);
}

}  // namespace k4t::cli
