#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <set>
#include <system_error>
#include <thread>

#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/progress.hpp"
#include "cli/render.hpp"
#include "cli/render_txn.hpp"
#include "operation/master.hpp"

/// Half a master: work that waits for the next run, and a run that does it and lets its machine be powered off.

namespace k4t::cli {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr auto round_pause = std::chrono::seconds(30);
constexpr std::size_t output_shown_bytes = 2000;

std::string line_of(const Words& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string describe(const store::QueuedWork& work) {
  std::string text = line_of(work.command);
  for (const auto& [name, content] : work.files) text += " -f " + name;
  return text;
}

// ---- the queue ------------------------------------------------------------------------------------------------

/// Commands that change something and need nobody at the terminal; those that would ask must be told not to.
Result<void> check_queueable(const Words& command) {
  static const std::set<std::string> known{"apply", "delete", "sync", "repair", "node", "image", "backup"};
  static const std::set<std::string> asks{"delete", "repair"};
  if (command.empty()) return wrong_use("which command? e.g. `k4t queue add -- apply -f services`");
  if (!known.contains(command.front())) {
    std::string names;
    for (const auto& name : known) names += (names.empty() ? "" : ", ") + name;
    return wrong_use("'" + command.front() + "' cannot be queued; these can: " + names);
  }
  const bool agreed = std::any_of(command.begin(), command.end(),
                                  [](const std::string& word) { return word == "-y" || word == "--yes"; });
  const bool drains = command.front() == "node" && command.size() > 1 && (command[1] == "drain" || command[1] == "rm");
  if ((asks.contains(command.front()) || drains) && !agreed) {
    return wrong_use("nobody will be there to be asked: add --yes to `" + line_of(command) + "`");
  }
  return {};
}

/// A command line in two: what is left without service files, and these.
struct Split {
  Words command;
  Words paths;
};
Split split_files(const Words& words) {
  constexpr std::string_view long_form = "--file=";
  Split split;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if ((word == "-f" || word == "--file") && i + 1 < words.size()) {
      split.paths.push_back(words[++i]);
    } else if (word.starts_with(long_form)) {
      split.paths.push_back(word.substr(long_form.size()));
    } else {
      split.command.push_back(word);
    }
  }
  return split;
}

/// Keeps the files' content as it is now.
Result<store::QueuedWork> capture(const Words& command, const Words& files) {
  store::QueuedWork work;
  work.command = command;
  const auto host = transport::local_host();
  for (const auto& file : files) {
    K4T_ASSIGN(const auto text, host->read_file(fs::absolute(file).string()));
    std::string name = fs::path(file).filename();
    for (int n = 2; work.files.contains(name); ++n) {
      name = fs::path(file).stem().string() + "-" + std::to_string(n) + ".toml";
    }
    work.files.emplace(name, text);
  }
  return work;
}

Json queue_json(const std::vector<store::QueuedWork>& queue) {
  Json json = Json::array();
  for (const auto& work : queue) {
    Json one{{"id", work.id}, {"command", work.command}, {"by", work.by}, {"at_s", work.at_s}};
    one["files"] = Json::array();
    for (const auto& [name, content] : work.files) one["files"].push_back(name);
    if (work.failed) one["failed"] = *work.failed;
    json.push_back(std::move(one));
  }
  return json;
}

std::string render_queue(const std::vector<store::QueuedWork>& queue, bool colours) {
  if (queue.empty()) return "Nothing is queued.\n";
  Table table({"ID", "COMMAND", "BY", "STATE"});
  for (const auto& work : queue) {
    table.add({std::to_string(work.id), describe(work), work.by,
               work.failed ? Table::Cell("failed: " + *work.failed, Style::bad) : Table::Cell("waits")});
  }
  return table.render(colours);
}

// ---- reasons to stay on ---------------------------------------------------------------------------------------

/// Why the master must not be powered off now; each with what would change that.
std::vector<std::string> reasons_to_stay(Session& session, store::Store& store) {
  std::vector<std::string> reasons;
  const auto cannot_tell = [&](const Error& error) { reasons.push_back("it cannot be told: " + error.message); };
  if (const auto left = store.unfinished_operations(); !left) {
    cannot_tell(left.error());
  } else {
    for (const auto& operation : *left) {
      reasons.push_back("operation " + std::to_string(operation.id) + " (" + operation.kind +
                        ") is unfinished: the next command finishes or undoes it");
    }
  }
  if (const auto queue = store.queue(); !queue) {
    cannot_tell(queue.error());
  } else {
    for (const auto& work : *queue) {
      if (!work.failed) reasons.push_back("work is queued: " + std::to_string(work.id) + ": " + describe(work));
    }
  }
  operation::Reporter quiet;
  operation::Master master(session.environment("master status", quiet));
  if (const auto preview = master.preview({}); !preview) {
    cannot_tell(preview.error());
  } else if (!preview->plan.removals.empty()) {
    reasons.push_back(plural(preview->plan.removals.size(), "instance") +
                      " must still be removed: `k4t sync` once every gateway and DNS server answers");
  }
  if (!session.cluster().backups.empty() && !backup::is_kept_elsewhere(look_at_copies(session, store))) {
    reasons.emplace_back("the last change has no verified copy on another machine: `k4t backup now` says why");
  }
  return reasons;
}

// ---- running --------------------------------------------------------------------------------------------------

struct Ended {
  int exit_code = 0;
  std::string last_words;
};

/// Runs this program with these arguments as a process of its own, so that each command lives and dies as usual.
Result<Ended> run_self(const Globals& globals, const Words& arguments) {
  transport::Command command;
  command.argv = {"/proc/self/exe", "-c", fs::absolute(globals.config_path).string()};
  std::error_code failed;
  command.argv.front() = fs::read_symlink("/proc/self/exe", failed).string();
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.timeout = std::chrono::hours(24);
  K4T_ASSIGN(const auto output, transport::local_host()->run(command));
  put(stdout, printable(output.out, true));
  put(stderr, printable(output.err, true));
  std::fflush(stdout);
  std::string words = output.err.empty() ? output.out : output.err;
  if (words.size() > output_shown_bytes) words.erase(0, words.size() - output_shown_bytes);
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return Ended{output.exit_code, words};
}

/// A folder for the files of one queued command, gone afterwards.
class WorkFolder {
 public:
  explicit WorkFolder(const fs::path& state) : path_(state / "queue") {}
  ~WorkFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  Result<Words> write(const std::map<std::string, std::string>& files) {
    const auto host = transport::local_host();
    std::error_code ignored;
    fs::remove_all(path_, ignored);
    K4T_TRY(host->make_folder(path_.string(), 0700));
    Words arguments;
    for (const auto& [name, text] : files) {
      K4T_TRY(host->put_file((path_ / name).string(), text, 0600));
      arguments.insert(arguments.end(), {"-f", (path_ / name).string()});
    }
    return arguments;
  }

 private:
  fs::path path_;
};

/// Whether a command is over, whatever came of it. What was cut short is tried again: commands can be repeated.
bool is_over(int exit_code) {
  constexpr int signals = 128;  // a command that a signal ended
  return exit_code != static_cast<int>(Exit::unfinished) && exit_code < signals;
}
bool has_failed(int exit_code) {
  return exit_code == static_cast<int>(Exit::failed) || exit_code == static_cast<int>(Exit::usage);
}

Result<void> power_off(const Words& argv) {
  transport::Command command;
  command.argv = argv;
  command.timeout = std::chrono::minutes(5);
  K4T_ASSIGN(const auto ended, transport::local_host()->run(command));
  put(stdout, printable(ended.out, true));
  put(stderr, printable(ended.err, true));
  if (ended.exit_code == 0) return {};
  return Error{
      Status::unavailable,
      "`" + line_of(argv) + "` ended with exit code " + std::to_string(ended.exit_code) + ": the machine stays on",
      {}};
}

class Run {
 public:
  explicit Run(const Globals& globals) : globals_(globals) {}

  /// What was left is finished or undone, returned gateways and DNS servers are brought up to date, what is queued is
  /// done, and the copies are sent. The reasons to stay on that remain; where there are none and `then_off`, the
  /// machine is powered off, while nobody else can begin anything. BUSY: another command is running.
  Result<Words> round(bool then_off) {
    K4T_TRY(command({"sync"}));
    K4T_TRY(work_off());
    postponed_.clear();
    return with_store([&](Session& session, store::Store& store) -> Result<Words> {
      keep_copies(session, "master run", Exit::done);
      auto reasons = reasons_to_stay(session, store);
      if (then_off && reasons.empty() && !interrupted()) K4T_TRY(power_off(session.cluster().power_off));
      return reasons;
    });
  }

 private:
  Result<Ended> command(const Words& arguments) {
    say("k4t " + line_of(arguments));
    return run_self(globals_, arguments);
  }

  void say(const std::string& text) const {
    put(stdout, styled("== " + printable(text), Style::bold, terminal_of(stdout).colours) + "\n");
    std::fflush(stdout);
  }

  /// Opens the store only as long as it is needed: the commands need it too.
  template <class Act>
  auto with_store(const Act& act) -> std::invoke_result_t<Act, Session&, store::Store&> {
    const auto session = Session::open(globals_);
    if (session == nullptr) return wrong_use("the configuration cannot be used");
    bool alone = false;
    auto* store = session->store_to_look("master run", alone);
    if (store == nullptr) return Error{Status::unavailable, "the metadata cannot be opened", {}};
    if (!alone) return Error{Status::busy, "another command is running", {}};
    return act(*session, *store);
  }

  Result<void> work_off() {
    for (;;) {
      if (interrupted()) return {};
      K4T_ASSIGN(const auto queue, with_store([](Session&, store::Store& store) { return store.queue(); }));
      const auto next = std::find_if(queue.begin(), queue.end(),
                                     [&](const auto& work) { return !work.failed && !postponed_.contains(work.id); });
      if (next == queue.end()) return {};
      K4T_TRY(work_on(*next));
    }
  }

  Result<void> work_on(const store::QueuedWork& work) {
    std::string state;
    K4T_TRY(with_store([&](Session& session, store::Store&) -> Result<void> {
      state = session.cluster().state_folder;
      return {};
    }));
    WorkFolder folder(state);
    Words arguments = work.command;
    K4T_ASSIGN(const auto files, folder.write(work.files));
    arguments.insert(arguments.end(), files.begin(), files.end());
    say("queued " + std::to_string(work.id) + ": k4t " + describe(work));
    K4T_ASSIGN(const auto ended, run_self(globals_, arguments));
    if (!is_over(ended.exit_code)) {
      postponed_.insert(work.id);
      return {};
    }
    return with_store([&](Session&, store::Store& store) -> Result<void> {
      if (!has_failed(ended.exit_code)) {
        K4T_TRY(store.dequeue(work.id));
        return {};
      }
      return store.mark_failed(work.id, "exit code " + std::to_string(ended.exit_code) + ": " + ended.last_words);
    });
  }

  const Globals& globals_;
  std::set<std::int64_t> postponed_;  ///< cut short in this round
};

void pause_between_rounds() {
  const auto until = std::chrono::steady_clock::now() + round_pause;
  while (!interrupted() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace

Exit run_queue_add(const Globals& globals, const std::vector<std::string>& command) {
  if (const auto fit = check_queueable(command); !fit) return refused(globals, fit.error());
  // Its files must be right now, while somebody is there to mend them.
  const Split split = split_files(command);
  if (command.front() == "apply" && split.paths.empty()) {
    return refused(globals, wrong_use("apply needs service files: -f FILE"));
  }
  const auto files = expand(split.paths);
  if (!files) return refused(globals, files.error());
  const auto session = Session::open(globals, *files);
  if (session == nullptr) return Exit::usage;
  auto work = capture(split.command, *files);
  if (!work) return refused(globals, work.error());
  auto* store = session->store("queue add");
  if (store == nullptr) return Exit::failed;
  operation::Reporter quiet;
  work->by = session->environment("queue add", quiet).holder;
  work->at_s = std::time(nullptr);
  const auto id = store->enqueue(*work);
  if (!id) return refused(globals, id.error());
  if (globals.json) {
    print_json(Json{{"id", *id}});
  } else {
    put(stdout, printable("Queued as " + std::to_string(*id) + ": " + describe(*work) + "\n", true));
  }
  return keep_copies(*session, "queue add", Exit::done);
}

Exit run_queue_ls(const Globals& globals) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  auto* store = session->store_to_read("queue ls");
  if (store == nullptr) return Exit::failed;
  const auto queue = store->queue();
  if (!queue) return refused(globals, queue.error());
  globals.json ? print_json(queue_json(*queue)) : put(stdout, render_queue(*queue, terminal_of(stdout).colours));
  return Exit::done;
}

Exit run_queue_rm(const Globals& globals, const std::vector<std::int64_t>& ids) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  auto* store = session->store("queue rm");
  if (store == nullptr) return Exit::failed;
  for (const auto id : ids) {
    const auto gone = store->dequeue(id);
    if (!gone) return refused(globals, gone.error());
    if (!*gone) return refused(globals, wrong_use("nothing is queued as " + std::to_string(id)));
  }
  if (globals.json) print_json(Json{{"removed", ids}});
  return keep_copies(*session, "queue rm", Exit::done);
}

Exit run_master_status(const Globals& globals) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  bool changing = false;
  auto* store = session->store_to_look("master status", changing);
  if (store == nullptr) return Exit::failed;
  auto reasons = reasons_to_stay(*session, *store);
  if (!changing) reasons.insert(reasons.begin(), "another command is running");
  if (globals.json) {
    print_json(Json{{"may_be_powered_off", reasons.empty()}, {"reasons", reasons}});
  } else if (reasons.empty()) {
    put(stdout, "The master may be powered off.\n");
  } else {
    put(stdout, "The master must stay on:\n");
    for (const auto& reason : reasons) put(stdout, "- " + printable(reason) + "\n");
  }
  return reasons.empty() ? Exit::done : Exit::differs;
}

Exit run_master_run(const Globals& globals, bool then_off) {
  Run run(globals);
  Words told;
  for (;;) {
    auto reasons = run.round(then_off);
    if (!reasons && reasons.status() == Status::busy) reasons = Words{reasons.error().message};
    if (!reasons) return refused(globals, reasons.error());
    if (then_off && reasons->empty()) return interrupted() ? Exit::unfinished : Exit::done;
    if (then_off && *reasons != told) {
      put(stdout, "The master stays on:\n");
      for (const auto& reason : *reasons) put(stdout, "- " + printable(reason) + "\n");
      std::fflush(stdout);
      told = *reasons;
    }
    pause_between_rounds();
    if (interrupted()) return Exit::done;
  }
}

}  // namespace k4t::cli
