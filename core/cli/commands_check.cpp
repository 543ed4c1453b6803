#include <algorithm>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/render.hpp"
#include "cli/render_node.hpp"
#include "operation/master.hpp"
#include "operation/nodes.hpp"
#include "operation/observed.hpp"
#include "operation/transactions.hpp"
#include "operation/witnesses.hpp"

/// Commands that check: config check, doctor.

namespace k4t::cli {
namespace {

/// One thing that doctor looked at.
struct Finding {
  enum class Verdict { good, warning, bad } verdict = Verdict::good;
  std::string subject;
  std::string says;
  std::string remedy;
};

class Doctor {
 public:
  explicit Doctor(Session& session) : session_(session) {}

  std::vector<Finding> examine() {
    plugins();
    operation::Reporter quiet;
    operation::Master master(session_.environment("doctor", quiet));
    nodes(session_.environment("doctor", quiet));
    if (const auto status = master.status()) {
      members(*status);
      witnesses(status->assessment);
      records(status->assessment);
      leftovers(*status);
    } else {
      bad("cluster", status.error().message, status.error().detail);
    }
    copies();
    return std::move(findings_);
  }

 private:
  void good(std::string subject, std::string says) {
    findings_.push_back({Finding::Verdict::good, std::move(subject), std::move(says), {}});
  }
  void warning(std::string subject, std::string says, std::string remedy) {
    findings_.push_back({Finding::Verdict::warning, std::move(subject), std::move(says), std::move(remedy)});
  }
  void bad(std::string subject, std::string says, std::string remedy) {
    findings_.push_back({Finding::Verdict::bad, std::move(subject), std::move(says), std::move(remedy)});
  }

  void plugins() {
    for (const auto& row : session_.catalog().rows()) {
      if (!row.error.empty()) warning("plugin " + row.path, row.error, "it is ignored; mend or remove the file");
    }
  }

  void nodes(const operation::Environment& environment) {
    auto views = operation::read_nodes(environment);
    if (auto marked = operation::add_marks(environment, views); !marked) {
      bad("nodes", marked.error().message, marked.error().detail);
    }
    const auto stored = environment.store.nodes();
    if (!stored) bad("nodes", stored.error().message, stored.error().detail);
    for (const auto& added : stored.ok() ? *stored : std::vector<model::AddedNode>{}) {
      if (environment.added_nodes.contains(added.node.name)) continue;
      warning("node " + added.node.name, "was added by a command, and k4t.toml names one too, which counts",
              "`k4t node rm " + added.node.name + "` forgets the added one");
    }
    for (const auto& view : views) {
      const std::string subject = "node " + view.name;
      if (view.mark) {
        warning(subject, "is " + node_state(view) + ", by " + mark_text(*view.mark),
                "`k4t node uncordon " + view.name + "` takes it back");
      }
      if (view.problem) {
        bad(subject, view.problem->message, view.problem->detail);
        continue;
      }
      good(subject, view.info.runtime_version + ", " + std::to_string(view.info.cpus) + " CPUs, " +
                        std::to_string(view.info.memory_bytes >> 20) + " MiB");
      const auto unable = plan::subnet_problem(environment.fleet.node(view.name)->config(), view.info);
      if (!unable.empty()) {
        bad(subject, unable,
            "make the network there and name it in the node's options, or correct 'subnet'; the driver's README tells "
            "how");
      }
      // Only the driver knows what follows from its warnings, and says so itself.
      for (const auto& text : view.info.warnings) warning(subject, text, {});
    }
  }

  void members(const operation::Status& status) {
    for (const auto& member : status.assessment.members) {
      const std::string subject = txn::to_string(member.who);
      const std::string says = txn::describe(member, status.assessment.latest.get());
      switch (member.standing) {
        case txn::Standing::current: good(subject, says); break;
        case txn::Standing::blank:
          if (status.assessment.latest == nullptr) {
            good(subject, "answers; nothing has been applied yet");
          } else {
            warning(subject, says, "`k4t sync` brings it to the latest version");
          }
          break;
        case txn::Standing::behind:
        case txn::Standing::half: warning(subject, says, "`k4t sync` brings it to the latest version"); break;
        case txn::Standing::drifted: warning(subject, says, "`k4t sync --repair` puts the decided content back"); break;
        case txn::Standing::unknown:
          bad(subject, says,
              member.why && !member.why->detail.empty() ? member.why->detail
                                                        : "start it, or mend its table in k4t.toml");
          break;
        case txn::Standing::diverged:
        case txn::Standing::ahead:
          bad(subject, says, "find out which master wrote there before anything is overwritten");
          break;
      }
    }
  }

  void witnesses(const txn::Assessment& assessment) {
    for (const auto& id : assessment.silent_witnesses) {
      bad("witness " + id, "does not answer", "without a majority of witnesses nothing can be changed");
    }
    for (const auto& id : assessment.blank_witnesses) {
      if (assessment.latest != nullptr)
        bad("witness " + id, "has lost its register, and with it its promises: it counts for nothing",
            "`k4t witness replace " + id + "` gives its machine a new one");
    }
    if (assessment.open_claim) {
      warning("witnesses",
              "an earlier run did not close its claim: " + txn::describe_holder(assessment.open_claim->holder),
              "`k4t txn recover` closes it; from another machine that needs --take-over");
    }
    const auto& configured = session_.cluster().witnesses;
    const auto& decided = assessment.latest == nullptr ? configured : assessment.latest->state.witnesses;
    for (const auto& advice : operation::advise(decided, session_.cluster().records)) {
      warning("witnesses", advice.says, advice.remedy);
    }
    const auto change = operation::wished_witnesses(configured, decided, "doctor");
    if (!change.empty()) {
      warning("witnesses", "k4t.toml names others than those that decide now",
              "`k4t apply` follows k4t.toml; `k4t witness ls` shows both");
    }
    for (const auto& wish : configured) {
      const auto* now = operation::find_witness(decided, wish.id);
      if (now == nullptr || now->id == wish.id) continue;
      warning("witness " + now->id, "is '" + wish.id + "' in k4t.toml",
              "write its full id there, so that a master without metadata finds its register");
    }
    if (assessment.latest != nullptr && assessment.latest->state.forced) {
      warning("witnesses", "version " + std::to_string(assessment.latest->state.forced->version) + " was forced",
              "`k4t status` tells what was given up; `k4t txn acknowledge` once that is read");
    }
  }

  void records(const txn::Assessment& assessment) {
    if (session_.cluster().records.empty() || assessment.latest == nullptr) return;
    operation::Reporter quiet;
    operation::Transactions transactions(session_.environment("doctor", quiet));
    const auto shown = transactions.show(assessment.latest->record.txn);
    if (!shown) return bad("records", shown.error().message, shown.error().detail);
    for (const auto& name : shown->folders) good("record folder " + name, "holds the latest version");
    for (const auto& name : shown->silent_folders) {
      bad("record folder " + name, "does not answer or holds a damaged record",
          "while it is so, changes may end with a single copy");
    }
  }

  void copies() {
    const auto& cluster = session_.cluster();
    if (cluster.backups.empty()) {
      return warning("copies", "nobody keeps copies of the metadata",
                     "name a machine in a [[backup]] table, then `k4t init`; what the master knows is lost with it");
    }
    if (const auto key = backup::open_key(cluster.backup_key); !key) {
      return bad("copies", key.error().message, "`k4t init` makes the key; of a cluster that had one, bring it back");
    }
    for (const auto& standing : look_at_copies(session_, *session_.store("doctor"))) {
      const std::string subject = "copies on " + standing.place;
      if (!standing.elsewhere) {
        warning(subject, "are on this machine, and lost with it", "name another machine");
      } else if (!standing.last) {
        bad(subject, "there is none yet", "`k4t backup now` makes one, or says what is wrong");
      } else if (!standing.current) {
        warning(subject, "the last one is older than the metadata",
                "`k4t backup now` makes one, or says what is wrong");
      } else {
        good(subject, standing.last->name);
      }
    }
  }

  void leftovers(const operation::Status& status) {
    if (!status.unfinished.empty() || status.assessment.unfinished) {
      warning("operation", "an earlier command was cut short", "`k4t status` finishes it or undoes it");
    }
  }

  Session& session_;
  std::vector<Finding> findings_;
};

void print_findings(const std::vector<Finding>& findings) {
  const bool colours = terminal_of(stdout).colours;
  for (const auto& finding : findings) {
    const bool fine = finding.verdict == Finding::Verdict::good;
    const bool warns = finding.verdict == Finding::Verdict::warning;
    const Style look = fine ? Style::good : warns ? Style::warning : Style::bad;
    const char* sign = fine ? "✓" : warns ? "!" : "✗";
    put(stdout, styled(sign, look, colours) + ' ' + printable(finding.subject) + ": " + printable(finding.says) + '\n');
    if (finding.remedy.empty()) continue;
    std::string remedy = "    " + printable(finding.remedy, true);
    for (auto at = remedy.find('\n'); at != std::string::npos; at = remedy.find('\n', at + 1))
      remedy.insert(at + 1, "    ");
    put(stdout, styled(remedy, Style::dim, colours) + '\n');
  }
}

Json findings_json(const std::vector<Finding>& findings) {
  Json json = Json::array();
  for (const auto& finding : findings) {
    const char* verdict = finding.verdict == Finding::Verdict::good      ? "good"
                          : finding.verdict == Finding::Verdict::warning ? "warning"
                                                                         : "bad";
    json.push_back(
        {{"verdict", verdict}, {"subject", finding.subject}, {"says", finding.says}, {"remedy", finding.remedy}});
  }
  return json;
}

}  // namespace

Exit run_config_check(const Globals& globals, const std::vector<std::string>& given) {
  const auto expanded = expand(given);
  if (!expanded) {
    print_error(globals, expanded.error());
    return Exit::usage;
  }
  const auto& files = *expanded;
  const auto session = Session::open(globals, files);
  if (session == nullptr) return Exit::usage;
  if (globals.json) {
    print_diagnostics(globals, session->warnings(), {});
    return Exit::done;
  }
  const auto& cluster = session->cluster();
  std::string text = globals.config_path + " is correct: " + plural(cluster.nodes.size(), "node") + ", " +
                     plural(cluster.gateways.size(), "gateway") + ", " + plural(cluster.dns.size(), "DNS server");
  if (!files.empty()) text += "; " + plural(session->services().size(), "service");
  std::printf("%s.\n", printable(text).c_str());
  return Exit::done;
}

Exit run_doctor(const Globals& globals) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (session->store("doctor") == nullptr) return Exit::failed;
  const auto findings = Doctor(*session).examine();
  if (globals.json) {
    std::puts(findings_json(findings).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    print_findings(findings);
  }
  const bool sick = std::any_of(findings.begin(), findings.end(),
                                [](const Finding& finding) { return finding.verdict == Finding::Verdict::bad; });
  return sick ? Exit::failed : Exit::done;
}

}  // namespace k4t::cli
