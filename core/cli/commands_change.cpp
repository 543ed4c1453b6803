#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/progress.hpp"
#include "cli/render.hpp"
#include "operation/master.hpp"

/// Commands that change something: plan (what would change), apply, delete, sync.

namespace k4t::cli {
namespace {

namespace fs = std::filesystem;
using operation::Change;
using operation::Ending;
using operation::Preview;
using operation::Report;

Exit exit_of(const Report& report) {
  switch (report.ending) {
    case Ending::unchanged:
    case Ending::done: return Exit::done;
    case Ending::lagging: return Exit::lagging;
    case Ending::failed: return Exit::failed;
    case Ending::unfinished: return Exit::unfinished;
  }
  return Exit::failed;
}

/// Nothing was begun that could be half done.
Exit refused(const Globals& globals, const Error& error) {
  print_error(globals, error);
  return error.status == Status::invalid_argument ? Exit::usage : Exit::failed;
}

Exit conclude(const Globals& globals, const Result<Report>& report) {
  if (!report) {
    print_error(globals, report.error());
    return Exit::failed;
  }
  if (globals.json) {
    std::puts(report_json(*report).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    return exit_of(*report);
  }
  if (report->why) print_error(globals, *report->why);
  std::fputs(render_report(*report, terminal_of(stdout).colours).c_str(), stdout);
  return exit_of(*report);
}

/// Service files as given; of a folder all that end in .toml, sorted.
Result<std::vector<std::string>> expand(const std::vector<std::string>& files) {
  std::vector<std::string> all;
  for (const auto& file : files) {
    std::error_code error;
    if (!fs::is_directory(file, error)) {
      all.push_back(file);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : fs::directory_iterator(file, error)) {
      if (entry.path().extension() == ".toml") inside.push_back(entry.path().string());
    }
    if (error) return Error{Status::unavailable, "cannot read the folder " + file + ": " + error.message(), {}};
    if (inside.empty()) return Error{Status::invalid_argument, "the folder " + file + " holds no .toml file", {}};
    std::sort(inside.begin(), inside.end());
    all.insert(all.end(), inside.begin(), inside.end());
  }
  return all;
}

void show(const Globals& globals, const Preview& preview) {
  if (globals.json) return;
  std::fputs(render_preview(preview, terminal_of(stdout).colours).c_str(), stdout);
  std::fflush(stdout);
}

bool ask(const std::string& question) {
  std::printf("%s [y/N] ", question.c_str());
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Exit change(const Globals& globals, const char* command, Session& session, const Change& wanted,
            const operation::ApplyOptions& options) {
  if (session.store(command) == nullptr) return Exit::failed;
  const auto reporter = make_reporter(stderr, globals.level);
  operation::Master master(session.environment(command, *reporter));
  const auto report = master.apply(wanted, options);
  return conclude(globals, report);
}

}  // namespace

Exit run_plan(const Globals& globals, const ChangeArguments& arguments) {
  const auto files = expand(arguments.files);
  if (!files) return refused(globals, files.error());
  const auto session = Session::open(globals, *files);
  if (session == nullptr) return Exit::usage;
  // Opened for changing because a store that is not there yet is made; a plan writes nothing else.
  if (session->store("plan") == nullptr) return Exit::failed;
  const auto reporter = make_reporter(stderr, globals.level);
  operation::Reporter quiet;
  operation::Master master(session->environment("plan", globals.level < LogLevel::warning ? *reporter : quiet));
  const auto preview = master.preview({session->services(), arguments.services});
  if (!preview) return refused(globals, preview.error());
  if (globals.json) {
    std::puts(preview_json(*preview).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    show(globals, *preview);
  }
  return preview->plan.problems.empty() ? Exit::done : Exit::failed;
}

Exit run_apply(const Globals& globals, const ChangeArguments& arguments) {
  const auto files = expand(arguments.files);
  if (!files) return refused(globals, files.error());
  const auto session = Session::open(globals, *files);
  if (session == nullptr) return Exit::usage;
  operation::ApplyOptions options;
  options.force = arguments.force;
  options.confirm = [&globals](const Preview& preview) {
    show(globals, preview);
    return true;
  };
  return change(globals, "apply", *session, {session->services(), {}}, options);
}

Exit run_delete(const Globals& globals, const ChangeArguments& arguments) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  auto* store = session->store("delete");
  if (store == nullptr) return Exit::failed;
  const auto declared = store->services();
  if (!declared) return refused(globals, declared.error());
  for (const auto& name : arguments.services) {
    const auto found =
        std::any_of(declared->begin(), declared->end(), [&](const auto& service) { return service.name == name; });
    if (found) continue;
    std::string known;
    for (const auto& service : *declared) known += (known.empty() ? "" : ", ") + service.name;
    return refused(globals, {Status::invalid_argument,
                             "there is no service '" + name + "'; there are: " + (known.empty() ? "none" : known),
                             {}});
  }
  const bool may_ask = !arguments.yes && !globals.json && ::isatty(STDIN_FILENO) == 1;
  operation::ApplyOptions options;
  options.force = arguments.force;
  options.confirm = [&](const Preview& preview) {
    show(globals, preview);
    return !may_ask || ask("Delete?");
  };
  return change(globals, "delete", *session, {{}, arguments.services}, options);
}

Exit run_sync(const Globals& globals, bool repair) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (session->store("sync") == nullptr) return Exit::failed;
  const auto reporter = make_reporter(stderr, globals.level);
  operation::Master master(session->environment("sync", *reporter));
  return conclude(globals, master.sync(repair));
}

}  // namespace k4t::cli
