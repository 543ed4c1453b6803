#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <functional>
#include <iostream>

#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/progress.hpp"
#include "cli/render.hpp"
#include "operation/master.hpp"

/// Commands that change something: plan (what would change), apply, delete, sync.

namespace k4t::cli {
namespace {

using operation::Change;
using operation::Preview;
using operation::Report;

/// An error in the middle of a command is a failure without a change only where the journal says so.
Exit exit_after_error(Session& session, const char* command) {
  auto* store = session.store(command);
  if (store == nullptr) return Exit::unfinished;
  const auto left = store->unfinished_operations();
  return left && left->empty() ? Exit::failed : Exit::unfinished;
}

void show(const Globals& globals, const Preview& preview) {
  if (globals.json) return;
  put(stdout, render_preview(preview, terminal_of(stdout).colours));
  std::fflush(stdout);
}

bool ask(const std::string& question) {
  std::printf("%s [y/N] ", question.c_str());
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Carry apply_of(const Change& wanted) {
  return [wanted](operation::Master& master, const operation::ApplyOptions& options) {
    return master.apply(wanted, options);
  };
}

}  // namespace

Exit refused(const Globals& globals, const Error& error) {
  print_error(globals, error);
  return error.status == Status::invalid_argument ? Exit::usage : Exit::failed;
}

Result<std::function<bool()>> consent_to(const Globals& globals, const std::string& what, bool yes) {
  if (yes) return std::function<bool()>([] { return true; });
  if (!globals.json && ::isatty(STDIN_FILENO) == 1) return std::function<bool()>([what] { return ask(what + "?"); });
  std::string verb = what;
  verb.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(verb.front())));
  return Error{Status::invalid_argument,
               "nobody can be asked here whether to " + verb + ": say --yes if that is meant; nothing has changed",
               {}};
}

std::optional<Report> change(const char* command, Session& session, const Carry& carry,
                             const std::function<bool()>& consent, bool force, Exit& exit) {
  exit = Exit::failed;
  if (session.store(command) == nullptr) return std::nullopt;
  const auto reporter = make_reporter(stderr, session.globals().level);
  operation::Master master(session.environment(command, *reporter));
  operation::ApplyOptions options;
  options.force = force;
  options.confirm = [&](const Preview& preview) {
    reporter->rest();
    show(session.globals(), preview);
    for (const auto& warning : preview.plan.warnings) reporter->told(warning);
    return consent();
  };
  auto report = carry(master, options);
  reporter->rest();
  exit = conclude(session, command, report);
  return report ? std::optional<Report>(*std::move(report)) : std::nullopt;
}

Exit conclude(Session& session, const char* command, const Result<Report>& report) {
  const Globals& globals = session.globals();
  if (!report) {
    print_error(globals, report.error());
    return exit_after_error(session, command);
  }
  if (globals.json) {
    std::puts(report_json(*report).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    if (report->why) print_error(globals, *report->why);
    put(stdout, render_report(*report, terminal_of(stdout).colours));
    std::fflush(stdout);
  }
  return keep_copies(session, command, exit_of(*report, session.cluster().accept_single_copy));
}

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
  reporter->rest();
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
  Exit exit = Exit::failed;
  const auto consent = [] { return true; };
  change("apply", *session, apply_of({session->services(), {}}), consent, arguments.force, exit);
  return exit;
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
  const auto consent = consent_to(globals, "Delete", arguments.yes);
  if (!consent) return refused(globals, consent.error());
  Exit exit = Exit::failed;
  change("delete", *session, apply_of({{}, arguments.services}), *consent, arguments.force, exit);
  return exit;
}

Exit run_sync(const Globals& globals, bool repair) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (session->store("sync") == nullptr) return Exit::failed;
  const auto reporter = make_reporter(stderr, globals.level);
  operation::Master master(session->environment("sync", *reporter));
  const auto report = master.sync(repair);
  reporter->rest();
  return conclude(*session, "sync", report);
}

}  // namespace k4t::cli
