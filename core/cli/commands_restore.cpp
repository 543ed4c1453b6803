#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "backup/restore.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/progress.hpp"
#include "cli/render.hpp"
#include "cli/render_txn.hpp"
#include "operation/adoption.hpp"
#include "operation/master.hpp"
#include "operation/transactions.hpp"
#include "plan/instance.hpp"

/// `k4t restore`: a master comes back from a copy of its metadata.

namespace k4t::cli {
namespace {

namespace fs = std::filesystem;

/// "2026-11-27T11:30:00Z", or seconds since 1970.
Result<std::int64_t> parse_time(const std::string& text) {
  char* end = nullptr;
  const long long number = std::strtoll(text.c_str(), &end, 10);
  if (!text.empty() && *end == '\0') return number;
  std::tm utc{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  if (rest != nullptr && *rest == '\0') return ::timegm(&utc);
  return wrong_use("--at " + text + ": expected a time such as 2026-11-27T11:30:00Z");
}

/// What is known before anything was fetched: from the command line, and from k4t.toml where there is one.
struct Wanted {
  model::BackupPlace place;
  std::string cluster;
  model::BackupKey key;
  transport::SshOptions ssh;
  std::optional<std::int64_t> at_s;
  bool has_config = false;
};

std::string absolute_path(const std::string& path) { return fs::absolute(path).lexically_normal().string(); }

/// A place of k4t.toml by its title, or a machine.
Result<model::BackupPlace> place_of(const std::string& from, const std::vector<model::BackupPlace>& known) {
  const auto named =
      std::find_if(known.begin(), known.end(), [&](const model::BackupPlace& place) { return place.title() == from; });
  if (named != known.end()) return *named;
  if (from != "local" && !from.starts_with("ssh://")) {
    return wrong_use("--from " + from + ": expected a machine such as ssh://root@192.0.2.11, or a place of k4t.toml");
  }
  model::BackupPlace place;
  place.host = from;
  return place;
}

Result<Wanted> understand(const Globals& globals, const RestoreArguments& arguments) {
  Wanted wanted;
  std::vector<model::BackupPlace> known;
  std::error_code ignored;
  wanted.has_config = fs::exists(globals.config_path, ignored);
  wanted.key.key_file = absolute_path((fs::path(globals.config_path).parent_path() / "backup.key").string());
  if (wanted.has_config) {
    const auto loaded = config::load_cluster(globals.config_path, {default_plugin_folders()});
    if (!loaded.ok()) {
      print_diagnostics(globals, loaded.diagnostics, loaded.sources);
      return wrong_use(globals.config_path +
                       " is there and cannot be used: mend it, or move it away and let the copy bring its own");
    }
    known = loaded.value->backups;
    wanted.cluster = loaded.value->name;
    wanted.key = loaded.value->backup_key;
    wanted.ssh = loaded.value->ssh;
  }
  K4T_ASSIGN(wanted.place, place_of(arguments.from, known));
  if (!arguments.path.empty()) wanted.place.path = arguments.path;
  if (!arguments.cluster.empty()) wanted.cluster = arguments.cluster;
  if (!arguments.key.empty()) wanted.key = {true, absolute_path(arguments.key), {}};
  if (!arguments.passphrase_file.empty()) wanted.key = {true, {}, absolute_path(arguments.passphrase_file)};
  for (const auto& identity : arguments.identity) wanted.ssh.identity.push_back(absolute_path(identity));
  if (!arguments.known_hosts.empty()) wanted.ssh.known_hosts = absolute_path(arguments.known_hosts);
  if (!arguments.at.empty()) {
    K4T_ASSIGN(wanted.at_s, parse_time(arguments.at));
  }
  return wanted;
}

/// Where nobody says which cluster, and there are copies of one only, it is that one.
Result<std::string> cluster_of(const Wanted& wanted) {
  if (!wanted.cluster.empty()) return wanted.cluster;
  K4T_ASSIGN(const auto clusters, backup::clusters_at(wanted.place, wanted.ssh, copy_limits()));
  if (clusters.size() == 1) return clusters.front();
  std::string names;
  for (const auto& name : clusters) names += (names.empty() ? "" : ", ") + name;
  if (clusters.empty()) {
    return Error{Status::not_found, "there are no copies in " + wanted.place.path + " on " + wanted.place.title(), {}};
  }
  return wrong_use("copies of several clusters are there (" + names + "): say which with --cluster");
}

/// What the k4t.toml says that is there, or that the copy has, put where the command line says.
Result<model::Cluster> cluster_in(const Globals& globals, const Wanted& wanted, const backup::Copy& copy) {
  const auto text = copy.files.find("k4t.toml");
  if (!wanted.has_config && text == copy.files.end()) {
    return Error{Status::not_found, "the copy has no k4t.toml: bring your own", {}};
  }
  auto read = wanted.has_config
                  ? config::load_cluster(globals.config_path, {default_plugin_folders()})
                  : config::parse_cluster({globals.config_path, text->second}, {default_plugin_folders()});
  if (read.ok()) return *std::move(read.value);
  print_diagnostics(globals, read.diagnostics, read.sources);
  return wrong_use("the copy's k4t.toml cannot be used by this k4t");
}

/// Whether what is there is a copy that was restored and has done nothing since.
bool is_half_restored(const std::string& folder) {
  const auto store = store::Store::open(folder, "restore", store::Mode::read);
  if (!store) return false;
  const auto unfinished = (*store)->unfinished_operations();
  return unfinished && std::any_of(unfinished->begin(), unfinished->end(), operation::is_restore);
}

/// Puts what k4t.toml names and the copy has where it is missing; returns what that was.
Result<std::vector<std::string>> put_named_files(const model::Cluster& cluster, const backup::Copy& copy) {
  const auto host = transport::local_host();
  std::vector<std::string> put;
  for (const auto& file : named_files(cluster, plugin::Catalog::scan(cluster.plugin_folders))) {
    const auto kept = copy.files.find(file);
    std::error_code failed;
    if (kept == copy.files.end() || fs::exists(file, failed)) continue;
    fs::create_directories(fs::path(file).parent_path(), failed);
    K4T_TRY(host->put_file(file, kept->second, 0600));
    put.push_back(file);
  }
  return put;
}

/// Also puts the key where that file wants it, for the copies to come.
Result<void> put_config(const Globals& globals, const backup::Copy& copy, const model::BackupKey& used) {
  const auto& text = copy.files.at("k4t.toml");
  const auto parsed = config::parse_cluster({globals.config_path, text}, {default_plugin_folders()});
  const auto host = transport::local_host();
  if (parsed.ok() && !used.key_file.empty() && !parsed.value->backup_key.key_file.empty()) {
    const std::string& wanted = parsed.value->backup_key.key_file;
    std::error_code ignored;
    K4T_ASSIGN(const auto key, backup::Key::read(used.key_file));
    if (!fs::exists(wanted, ignored)) K4T_TRY(host->put_file(wanted, key.text(), 0600));
  }
  return host->put_file(absolute_path(globals.config_path), text, 0600);
}

/// What runs and is declared otherwise in the restored metadata, or not at all, and what is declared and does not run.
std::vector<std::string> lost_since(const operation::Status& status) {
  std::map<std::string, std::set<std::string>> running;
  for (const auto& placed : status.instances) running[placed.service].insert(placed.revision);
  std::vector<std::string> lost;
  std::string unread;
  for (const auto& view : status.nodes) {
    if (view.problem) unread += (unread.empty() ? "" : ", ") + view.name;
  }
  if (!unread.empty()) lost.push_back("what runs on these nodes is not known, they do not answer: " + unread);
  for (const auto& [name, revisions] : running) {
    const auto declared = std::find_if(status.services.begin(), status.services.end(),
                                       [&name = name](const model::Service& one) { return one.name == name; });
    if (declared == status.services.end()) {
      lost.push_back("service " + name + " runs and is not declared here: apply its file, or delete it");
    } else if (!revisions.contains(plan::revision_of(*declared))) {
      lost.push_back("service " + name + " runs in another revision than is declared here: apply its file");
    } else if (revisions.size() > 1) {
      lost.push_back("service " + name + " also runs in another revision: `k4t repair` removes what is left of it");
    }
  }
  for (const auto& service : status.services) {
    if (unread.empty() && !running.contains(service.name))
      lost.push_back("service " + service.name + " is declared here and does not run: delete it if it was deleted");
  }
  return lost;
}

/// What was learnt after the copy was in place.
struct Learnt {
  operation::Report report;
  std::vector<std::string> adopted;  ///< services that are declared as they run, and not as in the copy
  std::vector<std::string> deleted;  ///< services that are declared in the copy only
  operation::Status status;
};

/// Lets the witnesses tell what was decided since, and what runs what was declared since.
Result<Learnt> learn(Session& session, operation::Reporter& reporter) {
  Learnt learnt;
  const auto environment = session.environment("restore", reporter);
  K4T_ASSIGN(const auto before, environment.store.services());
  operation::Master master(environment);
  K4T_ASSIGN(const auto settled, master.recover());
  if (settled.why) return *settled.why;
  K4T_ASSIGN(const auto after, environment.store.services());
  for (const auto& service : after) {
    if (std::find(before.begin(), before.end(), service) == before.end()) learnt.adopted.push_back(service.name);
  }
  for (const auto& service : before) {
    const auto stays =
        std::any_of(after.begin(), after.end(), [&](const auto& one) { return one.name == service.name; });
    if (!stays) learnt.deleted.push_back(service.name);
  }
  operation::Transactions transactions(session.environment("restore", reporter));
  K4T_ASSIGN(learnt.report, transactions.recover());
  K4T_ASSIGN(learnt.status, master.status());
  return learnt;
}

/// Brings the restored metadata to what is, and says what the copy did not know.
Exit catch_up(Globals globals, const backup::Fetched& fetched, const std::string& kept) {
  // The run that left its claim open is the one whose machine is lost.
  globals.take_over = true;
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::unfinished;
  if (session->store("restore") == nullptr) return Exit::unfinished;
  const auto reporter = make_reporter(stderr, globals.level);
  const auto learnt = learn(*session, *reporter);
  reporter->rest();
  const auto& header = fetched.copy.header;
  Json json{{"copy", fetched.name.text()}, {"version", header.version}, {"made_at_s", header.made_at_s}};
  if (!kept.empty()) json["kept"] = kept;
  if (!learnt) {
    print_error({}, learnt.error().within("the metadata is restored, but what came since could not be learnt; the next "
                                          "command tries again"));
    if (globals.json) print_json(json);
    return Exit::unfinished;
  }
  const auto lost = lost_since(learnt->status);
  json["decided"] = learnt->report.version;
  json["adopted"] = learnt->adopted;
  json["deleted"] = learnt->deleted;
  json["lost"] = lost;
  if (globals.json) {
    print_json(json);
  } else {
    std::string text;
    if (learnt->report.version > header.version) {
      text += "Decided since: up to version " + std::to_string(learnt->report.version) + ", as the witnesses tell.\n";
    }
    if (!learnt->adopted.empty()) {
      text += "Declared since, and taken from what runs: " + printable(join(learnt->adopted, ", ")) + ".\n";
    }
    if (!learnt->deleted.empty()) {
      text += "Deleted since, as nothing of it runs or is served: " + printable(join(learnt->deleted, ", ")) + ".\n";
    }
    for (const auto& line : lost) text += "! " + printable(line) + "\n";
    if (lost.empty()) text += "What runs is what is declared.\n";
    put(stdout, text);
  }
  const bool lagging = learnt->report.ending == operation::Ending::lagging;
  return lagging ? Exit::lagging : Exit::done;
}

}  // namespace

Exit run_restore(const Globals& globals, const RestoreArguments& arguments) {
  const auto wanted = understand(globals, arguments);
  if (!wanted) return refused(globals, wanted.error());
  if (std::error_code ignored; !wanted->key.key_file.empty() && !fs::exists(wanted->key.key_file, ignored)) {
    return refused(globals, wrong_use("there is no backup key " + wanted->key.key_file + ": name it with --key"));
  }
  const auto key = backup::open_key(wanted->key);
  if (!key) return refused(globals, key.error());
  const auto cluster = cluster_of(*wanted);
  if (!cluster) return refused(globals, cluster.error());
  backup::Place place(wanted->place, *cluster, wanted->ssh);
  const auto fetched = backup::fetch(place, *cluster, wanted->at_s, *key ? &**key : nullptr, copy_limits());
  if (!fetched) return refused(globals, fetched.error());
  const auto& copy = fetched->copy;
  const auto config = cluster_in(globals, *wanted, copy);
  if (!config) return refused(globals, config.error());
  const std::string& folder = config->state_folder;
  if (const auto may = backup::may_replace(folder, copy.header, arguments.force || is_half_restored(folder)); !may) {
    return refused(globals, may.error());
  }
  const auto files = put_named_files(*config, copy);
  if (!files) return refused(globals, files.error());
  const auto now_s = std::time(nullptr);
  const auto kept = store::Store::install(folder, copy.metadata, now_s, [&](store::Store& store) {
    return operation::note_restored(store, copy.header.version, now_s);
  });
  if (!kept) return refused(globals, kept.error());
  // The configuration comes last: with it the master is a master again.
  if (!wanted->has_config) {
    if (const auto put = put_config(globals, copy, wanted->key); !put) return refused(globals, put.error());
  }
  if (!globals.json) {
    std::string text = "Restored version " + std::to_string(copy.header.version) + " of cluster " + *cluster +
                       ", made " + human_age(std::time(nullptr) - copy.header.made_at_s) + " ago, from " +
                       place.config().title() + ".\n";
    for (const auto& file : *files) text += "Restored " + file + ".\n";
    if (!wanted->has_config) text += "Restored " + globals.config_path + ".\n";
    if (!kept->empty()) text += "What was here before is in " + *kept + ".\n";
    put(stdout, printable(text, true));
    std::fflush(stdout);
  }
  return catch_up(globals, *fetched, *kept);
}

}  // namespace k4t::cli
