#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/progress.hpp"
#include "cli/render.hpp"
#include "cli/render_txn.hpp"
#include "operation/difference.hpp"
#include "operation/suggestion.hpp"
#include "operation/transactions.hpp"

/// Commands about the redo log and the witnesses: txn, diff, witness.

namespace k4t::cli {
namespace {

using operation::Report;
using operation::Transactions;

/// A command that looks and writes nothing.
class Look {
 public:
  explicit Look(const Globals& globals, const std::vector<std::string>& files = {})
      : session_(Session::open(globals, files)) {}

  /// Absent: it cannot begin; why has been printed, and `exit` says how to end.
  std::optional<Transactions> begin(const char* command, store::Mode mode, Exit& exit) {
    exit = Exit::usage;
    if (session_ == nullptr) return std::nullopt;
    exit = Exit::failed;
    if (session_->store(command, mode) == nullptr) return std::nullopt;
    return std::optional<Transactions>(std::in_place, session_->environment(command, quiet_));
  }
  [[nodiscard]] Session& session() { return *session_; }
  operation::Reporter& quiet() { return quiet_; }

 private:
  std::unique_ptr<Session> session_;
  operation::Reporter quiet_;
};

Exit failed_with(const Globals& globals, const Error& error) {
  print_error(globals, error);
  return error.status == Status::invalid_argument ? Exit::usage : Exit::failed;
}

/// A command that changes something by `work`, after what an earlier one left has been settled.
template <class Work>
Exit steer(const Globals& globals, const char* command, bool settles, Work work) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (session->store(command) == nullptr) return Exit::failed;
  const auto reporter = make_reporter(stderr, globals.level);
  if (settles) {
    operation::Master master(session->environment(command, *reporter));
    const auto settled = master.recover();
    if (!settled) return failed_with(globals, settled.error());
    if (settled->ending == operation::Ending::unfinished && settled->why) {
      reporter->rest();
      return conclude(*session, command, settled);
    }
  }
  Transactions transactions(session->environment(command, *reporter));
  const auto report = work(transactions, *reporter);
  reporter->rest();
  if (!report) return failed_with(globals, report.error());
  return conclude(*session, command, report);
}

/// The user types the cluster's name, on the command line or now.
Result<void> require_name(const std::string& cluster, const std::string& given, bool json) {
  std::string typed = given;
  if (typed.empty()) {
    if (json || ::isatty(STDIN_FILENO) != 1) {
      return Error{
          Status::invalid_argument,
          "forcing gives decided changes up for ever: name the cluster with --force=" + cluster + " if that is meant",
          {}};
    }
    std::printf("This cannot be undone. Type the cluster's name to go on: ");
    std::fflush(stdout);
    std::getline(std::cin, typed);
  }
  if (typed == cluster) return {};
  return Error{Status::invalid_argument,
               "'" + typed + "' is not the name of this cluster, which is '" + cluster + "'; nothing has changed",
               {}};
}

Exit exit_of_difference(const operation::Difference& difference) {
  return difference.any() || difference.unknown() ? Exit::differs : Exit::done;
}

/// What service files want beyond what is decided.
Result<void> add_wanted(Look& look, const std::set<std::string>& services, operation::Difference& difference) {
  operation::Master master(look.session().environment("diff", look.quiet()));
  K4T_ASSIGN(const auto preview, master.preview({look.session().services(), {}}));
  std::set<std::string> known;
  for (const auto& service : preview.services) known.insert(service.name);
  const auto part = [&](const model::State& state) {
    return services.empty() ? state : operation::only_services(state, services, known);
  };
  const model::State now = difference.latest == nullptr ? model::State{} : difference.latest->state;
  difference.wanted = preview.plan.state_changes ? operation::routing_difference(part(now), part(preview.plan.state))
                                                 : std::vector<std::string>{};
  difference.problems = preview.plan.problems;
  return {};
}

std::optional<txn::Participant> participant_named(const model::Cluster& cluster, const std::string& name) {
  for (const auto& one : cluster.gateways) {
    if (one.name == name) return txn::Participant{txn::Group::gateway, name};
  }
  for (const auto& one : cluster.dns) {
    if (one.name == name) return txn::Participant{txn::Group::dns, name};
  }
  return std::nullopt;
}

}  // namespace

Exit run_txn_ls(const Globals& globals) {
  Look look(globals);
  Exit exit = Exit::done;
  auto transactions = look.begin("txn ls", store::Mode::read, exit);
  if (!transactions) return exit;
  const auto log = transactions->log();
  if (!log) return failed_with(globals, log.error());
  if (globals.json) {
    print_json(log_json(*log));
  } else {
    put(stdout, render_log(*log, terminal_of(stdout).colours));
  }
  return Exit::done;
}

Exit run_txn_show(const Globals& globals, const std::string& name) {
  Look look(globals);
  Exit exit = Exit::done;
  auto transactions = look.begin("txn show", store::Mode::read, exit);
  if (!transactions) return exit;
  const auto shown = transactions->show(name);
  if (!shown) return failed_with(globals, shown.error());
  if (globals.json) {
    print_json(shown_json(*shown));
  } else {
    put(stdout, render_shown(*shown, terminal_of(stdout).colours));
  }
  return Exit::done;
}

Exit run_txn_recover(const Globals& globals, const RecoverArguments& arguments) {
  if (!arguments.force) {
    return steer(globals, "txn recover", false,
                 [](Transactions& transactions, Progress& /*progress*/) { return transactions.recover(); });
  }
  if (arguments.why.empty()) {
    return failed_with(globals, {Status::invalid_argument,
                                 "say with --why TEXT why history is forced; `k4t status` shows it until it is "
                                 "acknowledged",
                                 {}});
  }
  return steer(globals, "txn recover --force", false, [&](Transactions& transactions, Progress& progress) {
    std::optional<Error> refused;
    operation::ForceOptions options;
    options.why = arguments.why;
    options.confirm = [&](const operation::Forcing& forcing) {
      progress.rest();
      if (!globals.json) put(stdout, render_forcing(forcing, terminal_of(stdout).colours));
      const auto named = require_name(forcing.cluster, arguments.cluster, globals.json);
      if (!named) refused = named.error();
      return named.ok();
    };
    auto report = transactions.force(options);
    if (refused) report = *refused;
    return report;
  });
}

Exit run_txn_acknowledge(const Globals& globals) {
  return steer(globals, "txn acknowledge", true,
               [](Transactions& transactions, Progress& /*progress*/) { return transactions.acknowledge(); });
}

Exit run_overwrite(const Globals& globals, const std::vector<std::string>& names) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  std::set<txn::Participant> who;
  for (const auto& name : names) {
    const auto found = participant_named(session->cluster(), name);
    if (!found) {
      return failed_with(globals,
                         {Status::invalid_argument, "k4t.toml has no gateway or DNS server '" + name + "'", {}});
    }
    who.insert(*found);
  }
  return steer(globals, "sync --overwrite", true,
               [&](Transactions& transactions, Progress& /*progress*/) { return transactions.overwrite(who); });
}

Exit run_diff(const Globals& globals, const ChangeArguments& arguments) {
  const auto files = expand(arguments.files);
  if (!files) return failed_with(globals, files.error());
  Look look(globals, *files);
  Exit exit = Exit::done;
  // A plan wants a store; where there is none yet it is made.
  const auto mode = files->empty() ? store::Mode::read : store::Mode::change;
  auto transactions = look.begin("diff", mode, exit);
  if (!transactions) return exit;
  const std::set<std::string> services(arguments.services.begin(), arguments.services.end());
  auto difference = transactions->difference(services);
  if (!difference) return failed_with(globals, difference.error());
  if (!files->empty()) {
    if (auto added = add_wanted(look, services, *difference); !added) return failed_with(globals, added.error());
  }
  if (globals.json) {
    print_json(difference_json(*difference));
  } else {
    put(stdout, render_difference(*difference, terminal_of(stdout).colours));
  }
  return exit_of_difference(*difference);
}

Exit run_witness_ls(const Globals& globals) {
  Look look(globals);
  Exit exit = Exit::done;
  auto transactions = look.begin("witness ls", store::Mode::read, exit);
  if (!transactions) return exit;
  const auto status = transactions->look();
  if (!status) return failed_with(globals, status.error());
  const auto rows = witness_rows(look.session().cluster(), status->assessment);
  if (globals.json) {
    print_json(witnesses_json(rows));
  } else {
    put(stdout, render_witnesses(rows, terminal_of(stdout).colours));
  }
  return Exit::done;
}

Exit run_witness_suggest(const Globals& globals) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  const auto suggestion = operation::suggest_witnesses(session->cluster(), [&](const model::Driven& server) {
    return session->catalog().has_capability(dns::Kind::name, server.driver, dns::capability::witness);
  });
  if (globals.json) {
    print_json(operation::suggestion_json(suggestion));
  } else {
    put(stdout, operation::render_toml(suggestion));
  }
  return Exit::done;
}

Exit run_witness_change(const Globals& globals, WitnessVerb verb, const std::vector<std::string>& ids) {
  Transactions::WitnessWish wish;
  const char* command = "witness add";
  switch (verb) {
    case WitnessVerb::add: wish.add = ids; break;
    case WitnessVerb::rm:
      wish.remove = ids;
      command = "witness rm";
      break;
    case WitnessVerb::replace:
      wish.replace = ids;
      command = "witness replace";
      break;
  }
  return steer(globals, command, true, [&](Transactions& transactions, Progress& progress) {
    auto report = transactions.change_witnesses(wish);
    const bool made = report && report->latest != nullptr &&
                      (report->ending == operation::Ending::done || report->ending == operation::Ending::lagging);
    if (!made || verb == WitnessVerb::rm) return report;
    for (const auto& id : ids) {
      const auto* now = operation::find_witness(report->latest->state.witnesses, id);
      if (now == nullptr || now->id == id) continue;
      progress.warning("witness " + id + " is now " + now->id + ": write that id in k4t.toml, so that a master " +
                       "without metadata finds its register");
    }
    return report;
  });
}

}  // namespace k4t::cli
