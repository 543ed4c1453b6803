#include <algorithm>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/progress.hpp"
#include "cli/render.hpp"
#include "cli/render_adoption.hpp"
#include "operation/adoption.hpp"
#include "operation/master.hpp"

/// `k4t adopt`: a master comes back without any copy of its metadata.

namespace k4t::cli {
namespace {

/// Why it is not done, as things are.
std::optional<Error> objection(const operation::Found& found, bool force) {
  const auto& adoption = found.adoption;
  if ((!adoption.unread.empty() || !adoption.unexplained.empty()) && !force) {
    return Error{Status::conflict,
                 "something is served or may run that this would not declare, and the next change would take it away: "
                 "mend what stands above (a node that is off, k4t.toml not as it was), or give it up with --force; "
                 "nothing has changed",
                 {}};
  }
  if (!adoption.services.empty() || found.latest != nullptr) return std::nullopt;
  return Error{Status::not_found, "nothing of this cluster runs or was ever decided: there is nothing to adopt", {}};
}

void show_found(const Globals& globals, const operation::Found& found) {
  if (globals.json) return;
  put(stdout, render_found(found, terminal_of(stdout).colours));
  std::fflush(stdout);
}

void show_end(const Globals& globals, const operation::Found& found, const operation::Preview& left) {
  if (globals.json) {
    Json json = found_json(found);
    json["left"] = preview_json(left);
    return print_json(json);
  }
  std::string text = "Adopted " + plural(found.adoption.services.size(), "service") + ".\n";
  if (!left.nothing_to_do()) {
    text +=
        "Left to do, by `k4t repair` or the next `k4t apply`:\n" + render_preview(left, terminal_of(stdout).colours);
  }
  put(stdout, text);
}

/// Says what a change would find to do.
Exit finish(Session& session, Progress& reporter, const operation::Found& found) {
  operation::Master master(session.environment("adopt", reporter));
  const auto left = found.sure
                        ? master.preview({})
                        : Result<operation::Preview>(Error{
                              Status::unavailable, "too few witnesses answer, so what is decided is not sure", {}});
  reporter.rest();
  if (!left) {
    print_error(session.globals(),
                left.error().within("the metadata is rebuilt as far as it is known; the next command learns the rest"));
    return Exit::unfinished;
  }
  show_end(session.globals(), found, *left);
  const auto& members = left->assessment.members;
  return std::any_of(members.begin(), members.end(), operation::lags) ? Exit::lagging : Exit::done;
}

}  // namespace

Exit run_adopt(Globals globals, const AdoptArguments& arguments) {
  // The run that left its claim open is the one whose machine is lost.
  globals.take_over = true;
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (session->store("adopt") == nullptr) return Exit::failed;
  const auto consent = consent_to(globals, "Adopt this", arguments.yes);
  if (!consent) return refused(globals, consent.error());
  const auto reporter = make_reporter(stderr, globals.level);
  const auto environment = session->environment("adopt", *reporter);
  const auto found = operation::adopt(environment, [&](const operation::Found& now) -> std::optional<Error> {
    reporter->rest();
    show_found(globals, now);
    if (auto why = objection(now, arguments.force)) return why;
    if (!(*consent)()) return Error{Status::conflict, "not confirmed", {}};
    return std::nullopt;
  });
  reporter->rest();
  if (!found) return refused(globals, found.error());
  return keep_copies(*session, "adopt", finish(*session, *reporter, *found));
}

}  // namespace k4t::cli
