#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <string_view>

#include "cli/commands.hpp"
#include "cli/console.hpp"

namespace {

using k4t::cli::Exit;
using k4t::cli::Globals;

constexpr const char* general_footer =
    "Exit codes:\n"
    "  0  done, or nothing to do\n"
    "  1  failed, and nothing has changed\n"
    "  2  wrong arguments or configuration; nothing was tried\n"
    "  3  done, but a gateway or DNS server does not serve it yet\n"
    "  4  cut short; the next command finishes or undoes it\n"
    "  5  done, but on no machine besides the master is a copy of the change\n"
    "  6  diff: there is a difference, or it is not known whether there is one;\n"
    "     master status: it must stay on\n"
    "  7  node drain, node rm --lost, repair: done as far as there is room;\n"
    "     image push, backup now: not on all nodes\n"
    "\n"
    "`k4t COMMAND --help` tells more of one command, `man k4t` of all.";

/// CLI11's help in this program's manner.
class Help final : public CLI::Formatter {
 public:
  Help() {
    column_width(28);
    label("REQUIRED", "(needed)");
    label("SUBCOMMAND", "COMMAND");
    label("Positionals", "Arguments");
  }
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    std::string name = CLI::Formatter::make_option_name(option, is_positional);
    if (const auto comma = name.find(','); comma != std::string::npos) name.insert(comma + 1, " ");
    return name;
  }
};

/// Whether errors of the arguments themselves are to be shown as JSON, which no parser has settled yet.
bool asks_for_json(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const std::string_view next = i + 1 < argc ? argv[i + 1] : "";
    if (word == "-ojson" || word == "--output=json") return true;
    if ((word == "-o" || word == "--output") && next == "json") return true;
  }
  return false;
}

/// What a command returned, unless its output could not be written. A reader that had enough (`k4t ps | head -1`) is no
/// error; a full disk is one, though it does not undo a change.
Exit after_output(Exit exit, bool changes) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit;
  // Which write failed is long past, and errno with it: a pipe without a reader says so itself.
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  if (::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0) return exit;
  k4t::cli::print_error({}, {k4t::Status::unavailable, "cannot write all results to standard output", {}});
  return exit == Exit::done && !changes ? Exit::failed : exit;
}

/// Declares all commands; the one that is called leaves its work in `chosen`.
class Program {
 public:
  Program() {
    app_.name("k4t");
    app_.formatter(std::make_shared<Help>());
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.footer("`k4t --help` lists the options that every command takes, and the exit codes.");
    app_.set_help_flag("-h,--help", "Show this help");
    globals_.config_path = k4t::cli::default_config_path();
    app_.add_option("-c,--config", globals_.config_path,
                    "The cluster's file; else $K4T_CONFIG, ./k4t.toml or /etc/k4t/k4t.toml")
        ->type_name("FILE");
    app_.add_option("-o,--output", output_, "How results are shown")
        ->check(CLI::IsMember({"text", "json"}).description(""))
        ->type_name("text|json");
    app_.add_flag("-v,--verbose", verbose_, "Show every step, and what drivers log; twice for more");
    app_.add_flag("--take-over", globals_.take_over, "Go on although another host's run did not end in order");
    app_.set_version_flag("--version", k4t::cli::version_line(), "Show the version");
    declare_changes();
    declare_looks();
    declare_checks();
    // Last, because commands inherit the footer that is there when they are declared.
    app_.footer(general_footer);
  }

  int run(int argc, char** argv) {
    if (argc < 2) {
      std::fputs(app_.help().c_str(), stderr);
      return static_cast<int>(Exit::usage);
    }
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) return static_cast<int>(after_output(Exit{app_.exit(error)}, false));
      Globals globals;
      globals.json = asks_for_json(argc, argv);
      k4t::cli::print_error(globals, {k4t::Status::invalid_argument, explain(error), {}});
      return static_cast<int>(Exit::usage);
    }
    globals_.json = output_ == "json";
    globals_.level = verbose_ == 0   ? k4t::LogLevel::warning
                     : verbose_ == 1 ? k4t::LogLevel::info
                                     : k4t::LogLevel::trace;
    k4t::cli::watch_signals();
    return static_cast<int>(after_output(chosen_(), changes_));
  }

 private:
  using Run = std::function<Exit()>;

  /// The mistake, and where to read how it is done right.
  std::string explain(const CLI::ParseError& error) const {
    std::string command = "k4t";
    const CLI::App* at = &app_;
    for (auto chosen = at->get_subcommands(); !chosen.empty(); chosen = at->get_subcommands()) {
      at = chosen.front();
      command += ' ' + at->get_name();
    }
    const std::string remedy = "; see `" + command + " --help`";
    if (!at->get_subcommands({}).empty()) {
      for (const auto& word : app_.remaining(true)) {
        if (!word.starts_with('-')) return "there is no command '" + word + "'" + remedy;
      }
      if (error.get_name() == "RequiredError") return "a command is missing after '" + command + "'" + remedy;
    }
    return error.what() + remedy;
  }

  CLI::App* command(const std::string& name, const std::string& help, Run run, CLI::App* parent = nullptr) {
    auto* sub = (parent == nullptr ? &app_ : parent)->add_subcommand(name, help);
    sub->group(parent == nullptr ? group_ : "Commands");
    sub->callback([this, run = std::move(run)] { chosen_ = run; });
    return sub;
  }

  CLI::App* family(const std::string& name, const std::string& help) {
    auto* sub = app_.add_subcommand(name, help);
    sub->group(group_)->require_subcommand(1);
    return sub;
  }

  void declare_changes() {
    group_ = "Change the cluster";
    auto* plan =
        command("plan", "Show what apply would do, and do nothing", [this] { return run_plan(globals_, change_); });
    plan->add_option("-f,--file", change_.files, "Service files, or folders of them")->type_name("FILE")->required();

    auto* apply = command("apply", "Make services run and be reached as their files say",
                          [this] { return change_with(k4t::cli::run_apply); });
    apply->add_option("-f,--file", change_.files, "Service files, or folders of them")->type_name("FILE")->required();
    apply->add_flag("--force", change_.force, "Also when more instances go than the cluster's limit allows");

    auto* remove = command("delete", "Take services away", [this] { return change_with(k4t::cli::run_delete); });
    remove->add_option("SERVICE", change_.services, "Their names")->type_name("")->required();
    remove->add_flag("-y,--yes", change_.yes, "Do not ask");

    auto* sync = command("sync", "Bring gateways and DNS servers that returned to the latest version", [this] {
      changes_ = true;
      return overwrite_.empty() ? run_sync(globals_, repair_) : run_overwrite(globals_, overwrite_);
    });
    sync->add_flag("--repair", repair_, "Also put back what was changed by hand");
    sync->add_option("--overwrite", overwrite_, "Also this gateway or DNS server, which is off the chain")
        ->type_name("NAME")
        ->excludes("--repair");
    declare_nodes();
    auto* repair = command("repair", "Replace what died, and what ran on nodes that are lost", [this] {
      changes_ = true;
      return run_repair(globals_, node_);
    });
    repair->add_option("NODE", node_.names, "Nodes that are gone for good; else all that do not answer")->type_name("");
    add_yes_and_why(repair);
    declare_images();
    declare_witnesses();
    declare_copies();
  }

  void declare_copies() {
    command("init", "Make the key that copies of the metadata are encrypted with", [this] {
      changes_ = true;
      return run_init(globals_);
    });
    auto* backup = family("backup", "Copy the master's metadata, look at the copies");
    const auto verb = [&](const char* name, const char* help, bool changes,
                          Exit (*act)(const Globals&, const std::vector<std::string>&)) {
      auto* sub = command(
          name, help,
          [this, changes, act] {
            changes_ = changes;
            return act(globals_, places_);
          },
          backup);
      sub->add_option("PLACE", places_, "Only there: a node or a machine of k4t.toml")->type_name("");
    };
    verb("now", "Make a copy and bring it to where copies are kept", true, k4t::cli::run_backup_now);
    verb("ls", "List the copies", false, k4t::cli::run_backup_ls);
    verb("verify", "Open every copy with the key", false, k4t::cli::run_backup_verify);
    declare_half_a_master();
    auto* restore = command("restore", "Bring a lost master back from a copy", [this] {
      changes_ = true;
      return run_restore(globals_, restore_);
    });
    restore->add_option("--from", restore_.from, "Where the copy is: a machine, or a place of k4t.toml")
        ->type_name("ssh://HOST|PLACE")
        ->required();
    restore->add_option("--at", restore_.at, "The newest copy made by then; else the newest")->type_name("TIME");
    restore->add_option("--key", restore_.key, "The backup key; else backup.key beside k4t.toml")->type_name("FILE");
    restore->add_option("--passphrase-file", restore_.passphrase_file, "Instead of a key")
        ->type_name("FILE")
        ->excludes("--key");
    restore->add_option("--cluster", restore_.cluster, "Which, where copies of several are there")->type_name("NAME");
    restore->add_option("--path", restore_.path, "The copies' folder there")->type_name("FOLDER");
    restore->add_option("--identity", restore_.identity, "A private key for SSH; may be given several times")
        ->type_name("FILE")
        ->allow_extra_args(false);
    restore->add_option("--known-hosts", restore_.known_hosts, "Whose host keys are believed")->type_name("FILE");
    restore->add_flag("--force", restore_.force, "Also where there is metadata already");
    auto* adopt = command("adopt", "Rebuild lost metadata without a copy, from what runs and is served", [this] {
      changes_ = true;
      return run_adopt(globals_, adopt_);
    });
    adopt->add_flag("--force", adopt_.force, "Also when something may be declared that is not seen now");
    adopt->add_flag("-y,--yes", adopt_.yes, "Do not ask");
  }

  void add_yes_and_why(CLI::App* sub) {
    sub->add_flag("-y,--yes", node_.yes, "Do not ask");
    add_why(sub);
  }
  void add_why(CLI::App* sub) { sub->add_option("--why", node_.why, "Why, for others to read")->type_name("TEXT"); }

  void declare_nodes() {
    auto* family_of_nodes = family("node", "Look at the nodes, set them apart, add and remove them");
    using Verb = Exit (*)(const Globals&, const k4t::cli::NodeArguments&);
    const auto change = [&](const char* name, const char* help, Verb verb, bool several) {
      auto* sub = command(
          name, help,
          [this, verb] {
            changes_ = true;
            return verb(globals_, node_);
          },
          family_of_nodes);
      auto* names = sub->add_option("NODE", node_.names, several ? "Their names" : "Its name");
      names->type_name("")->required();
      if (!several) names->expected(1);
      return sub;
    };
    command(
        "ls", "List the nodes: state, instances, what is promised and offered",
        [this] { return run_node_ls(globals_); }, family_of_nodes);
    auto* show = command(
        "show", "Show one node with what runs there", [this] { return run_node_show(globals_, node_.names.front()); },
        family_of_nodes);
    show->add_option("NODE", node_.names, "Its name")->type_name("")->required()->expected(1);
    add_node_options(change("add", "Add a node without k4t.toml", k4t::cli::run_node_add, false));
    add_why(change("cordon", "Place nothing new there", k4t::cli::run_node_cordon, true));
    change("uncordon", "Take back a cordon, a drain, or that it is lost", k4t::cli::run_node_uncordon, true);
    add_yes_and_why(change("drain", "Move what runs there elsewhere", k4t::cli::run_node_drain, true));
    auto* remove = change("rm", "Remove a node that was added and is empty", k4t::cli::run_node_rm, false);
    remove->add_flag("--lost", node_.lost, "It is gone for good: what it ran is placed anew elsewhere");
    add_yes_and_why(remove);
  }

  void add_node_options(CLI::App* add) {
    add->add_option("--driver", node_.driver, "Its driver, as `k4t plugin ls` shows it")->type_name("NAME")->required();
    add->add_option("--address", node_.address, "Where its instances are reached")->type_name("IP")->required();
    add->add_option("--option", node_.options, "An option of the driver")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    add->add_option("--label", node_.labels, "A label for services to ask for")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    add->add_option("--ports", node_.ports, "Its ports that k4t may give to instances")->type_name("FIRST-LAST");
    add->add_option("--subnet", node_.subnet, "Instances get addresses of their own from it")->type_name("BLOCK");
    add->add_option("--public-address", node_.public_address, "What DNS answers instead where it leads to instances")
        ->type_name("IP");
    add->add_option("--public-ports", node_.public_ports, "Its ports that lead to --ports, one by one")
        ->type_name("FIRST-LAST");
    add->add_option("--cpu", node_.cpu, "Offered to instances; else all")->type_name("CORES");
    add->add_option("--memory", node_.memory, "Offered to instances; else all")->type_name("SIZE");
    add->add_flag("--force", node_.force, "Also when it does not answer");
  }

  void declare_images() {
    auto* image = family("image", "Bring images to the nodes without a registry");
    auto* push = command(
        "push", "Load images on the nodes, each with the layers that it lacks",
        [this] {
          changes_ = true;
          return run_image_push(globals_, image_);
        },
        image);
    push->add_option("IMAGE", image_.images, "Their names; of an archive, else all in it")->type_name("");
    auto* archive = push->add_option("--archive", image_.archive, "A file that `docker save` wrote, or an OCI layout");
    archive->type_name("FILE");
    push->add_option("--from", image_.from, "A node that has them, or an engine; else this machine's")
        ->type_name("NODE|HOST")
        ->excludes(archive);
    auto* ls = command(
        "ls", "Show which nodes have the services' images", [this] { return run_image_ls(globals_, image_); }, image);
    ls->add_option("-f,--file", image_.files, "Also of what these service files want")->type_name("FILE");
    for (auto* sub : {push, ls}) {
      sub->add_option("--node", image_.nodes, "Only this node; may be given several times")
          ->type_name("NODE")
          ->allow_extra_args(false);
    }
  }

  void declare_half_a_master() {
    auto* queue = family("queue", "Hold work for the next run of the master");
    auto* add = command(
        "add", "Queue a command with its service files as they are now",
        [this] {
          changes_ = true;
          return run_queue_add(globals_, queued_);
        },
        queue);
    add->add_option("COMMAND", queued_, "A command of k4t with its arguments, after --")->type_name("")->required();
    command(
        "ls", "List what is queued", [this] { return run_queue_ls(globals_); }, queue);
    auto* rm = command(
        "rm", "Take work out of the queue",
        [this] {
          changes_ = true;
          return run_queue_rm(globals_, queue_ids_);
        },
        queue);
    rm->add_option("ID", queue_ids_, "As `k4t queue ls` numbers it")->type_name("")->required();

    auto* master = family("master", "Run the master, ask whether it may be powered off");
    auto* run = command(
        "run", "Do what was left and what is queued; stay on, or power off",
        [this] {
          changes_ = true;
          return run_master_run(globals_, !then_.empty());
        },
        master);
    run->add_option("--then", then_, "What comes when nothing is left to do; else it stays on")
        ->check(CLI::IsMember({"poweroff"}).description(""))
        ->type_name("poweroff");
    command(
        "status", "Say whether the master may be powered off, and why not",
        [this] { return run_master_status(globals_); }, master);
  }

  void declare_witnesses() {
    auto* witness = family("witness", "Look at the witnesses, change them");
    command(
        "ls", "List the witnesses with what they promised and voted for", [this] { return run_witness_ls(globals_); },
        witness);
    command(
        "suggest", "Print [[witness]] tables for the machines of k4t.toml",
        [this] { return run_witness_suggest(globals_); }, witness);
    const auto change = [&](const char* name, const char* help, k4t::cli::WitnessVerb verb) {
      auto* sub = command(
          name, help,
          [this, verb] {
            changes_ = true;
            return run_witness_change(globals_, verb, witnesses_);
          },
          witness);
      sub->add_option("ID", witnesses_, "As k4t.toml or `k4t witness ls` names it")->type_name("")->required();
    };
    change("add", "Make a witness of a new [[witness]] table", k4t::cli::WitnessVerb::add);
    change("rm", "Take a witness out of the set, after its table", k4t::cli::WitnessVerb::rm);
    change("replace", "Give a witness that lost its register a new one", k4t::cli::WitnessVerb::replace);
  }

  void declare_transactions() {
    auto* txn = family("txn", "Look at the redo log, recover it");
    command(
        "ls", "List the versions: when decided, by whom, who lags", [this] { return run_txn_ls(globals_); }, txn);
    auto* show = command(
        "show", "Show one version: what it changed, who holds it", [this] { return run_txn_show(globals_, txn_); },
        txn);
    show->add_option("TXN", txn_, "A version, or the beginning of a txn")->type_name("")->required();
    auto* recover = command(
        "recover", "Finish what another run left, and nothing else",
        [this] {
          changes_ = true;
          recover_.force = force_->count() > 0;
          return run_txn_recover(globals_, recover_);
        },
        txn);
    force_ = recover->add_option("--force", recover_.cluster, "Begin a new history: most witnesses are gone for good");
    force_->expected(0, 1)->type_name("[=CLUSTER]");
    recover->add_option("--why", recover_.why, "Why history is forced")->type_name("TEXT");
    command(
        "acknowledge", "Say that you have read what a forced version gave up",
        [this] {
          changes_ = true;
          return run_txn_acknowledge(globals_);
        },
        txn);
  }

  Exit change_with(Exit (*command_run)(const Globals&, const k4t::cli::ChangeArguments&)) {
    changes_ = true;
    return command_run(globals_, change_);
  }

  void declare_looks() {
    group_ = "Look at it";
    command("status", "Show the cluster; finishes or undoes what a killed command left",
            [this] { return run_status(globals_); });
    auto* diff = command("diff", "Show how what is served differs from what is decided and wanted",
                         [this] { return run_diff(globals_, change_); });
    diff->add_option("SERVICE", change_.services, "Only of these services")->type_name("");
    diff->add_option("-f,--file", change_.files, "Also what these service files want")->type_name("FILE");
    declare_transactions();
    auto* ps = command("ps", "List instances", [this] { return run_ps(globals_, services_); });
    ps->add_option("SERVICE", services_, "Only of these services")->type_name("");
    auto* logs = command("logs", "Show what instances print", [this] { return run_logs(globals_, logs_); });
    logs->add_option("NAME", logs_.name, "An instance, or a service for all of its instances")
        ->type_name("")
        ->required();
    logs->add_flag("-f,--follow", logs_.follow, "Go on with what they print from now on");
    logs->add_option("-n,--tail", logs_.tail, "Only the last lines of each")->type_name("LINES");
    logs->add_flag("-t,--timestamps", logs_.timestamps, "Put the time before each line");
    command("version", "Show the version", [this] { return run_version(globals_); });
  }

  void declare_checks() {
    group_ = "Check it";
    auto* plugin = family("plugin", "Look at plugins");
    auto* ls = command(
        "ls", "List plugins, broken ones with the reason", [this] { return run_plugin_ls(globals_, folders_); },
        plugin);
    auto* show = command(
        "show", "Show what a driver can do, and its options",
        [this] { return run_plugin_show(globals_, plugin_, folders_); }, plugin);
    show->add_option("NAME", plugin_, "The driver's name, as `k4t plugin ls` shows it")->type_name("")->required();
    for (auto* looking : {ls, show}) {
      looking->add_option("--folder", folders_, "Look here instead of where the configuration says")
          ->type_name("FOLDER");
    }

    auto* config = family("config", "Check configurations, print their schema");
    auto* check = command(
        "check", "Say everything that is wrong with k4t.toml and service files",
        [this] { return run_config_check(globals_, change_.files); }, config);
    check->add_option("-f,--file", change_.files, "Service files to check as well")->type_name("FILE");
    auto* schema = command(
        "schema", "Print the JSON Schema of a file, for editors",
        [this] { return run_config_schema(globals_, schema_); }, config);
    schema->add_option("FILE", schema_, "Of which file")
        ->check(CLI::IsMember({"cluster", "service"}).description(""))
        ->type_name("cluster|service");

    command("doctor", "Check every configured thing and say what to do", [this] { return run_doctor(globals_); });
  }

  CLI::App app_{"k4t: a container orchestrator whose control plane is off by default"};
  Globals globals_;
  std::string output_ = "text";
  int verbose_ = 0;
  k4t::cli::ChangeArguments change_;
  bool repair_ = false;
  std::vector<std::string> overwrite_;
  std::vector<std::string> witnesses_;
  std::vector<std::string> places_;
  k4t::cli::RestoreArguments restore_;
  k4t::cli::AdoptArguments adopt_;
  std::vector<std::string> queued_;
  std::vector<std::int64_t> queue_ids_;
  std::string then_;
  k4t::cli::NodeArguments node_;
  k4t::cli::ImageArguments image_;
  std::string txn_;
  k4t::cli::RecoverArguments recover_;
  CLI::Option* force_ = nullptr;
  std::vector<std::string> services_;
  k4t::cli::LogsArguments logs_;
  std::vector<std::string> folders_;
  std::string plugin_;
  std::string schema_ = "cluster";
  std::string group_;
  bool changes_ = false;
  Run chosen_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    return Program().run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "k4t: internal error: %s\n", error.what());
    return static_cast<int>(Exit::unfinished);
  }
}
