#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "cli/commands.hpp"

namespace {

using k4t::cli::Exit;
using k4t::cli::Globals;

constexpr const char* exit_codes =
    "Exit codes: 0 done or nothing to do · 1 failed, and nothing has changed · 2 wrong arguments or configuration · "
    "3 done, but a gateway or DNS server does not serve it yet · 4 cut short; the next command finishes or undoes it";

/// Declares all commands; the one that is called leaves its work in `chosen`.
class Program {
 public:
  Program() {
    app_.name("k4t");
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.footer(exit_codes);
    globals_.config_path = k4t::cli::default_config_path();
    app_.add_option("-c,--config", globals_.config_path,
                    "The cluster's file ($K4T_CONFIG, ./k4t.toml, /etc/k4t/k4t.toml)")
        ->type_name("FILE");
    app_.add_option("-o,--output", output_, "How results are shown")
        ->check(CLI::IsMember({"text", "json"}))
        ->type_name("text|json");
    app_.add_flag("-v,--verbose", verbose_, "Show what drivers log; twice for more");
    app_.add_flag("--take-over", globals_.take_over, "Go on although another host's run did not end in order");
    declare_changes();
    declare_looks();
    declare_checks();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? 0 : static_cast<int>(Exit::usage);
    }
    globals_.json = output_ == "json";
    globals_.level = verbose_ == 0   ? k4t::LogLevel::warning
                     : verbose_ == 1 ? k4t::LogLevel::info
                                     : k4t::LogLevel::trace;
    k4t::cli::watch_signals();
    return static_cast<int>(chosen_());
  }

 private:
  using Run = std::function<Exit()>;

  CLI::App* command(const std::string& name, const std::string& help, Run run, CLI::App* parent = nullptr) {
    auto* sub = (parent == nullptr ? &app_ : parent)->add_subcommand(name, help);
    sub->callback([this, run = std::move(run)] { chosen_ = run; });
    return sub;
  }

  void declare_changes() {
    auto* plan =
        command("plan", "Show what apply would do, and do nothing", [this] { return run_plan(globals_, change_); });
    plan->add_option("-f,--file", change_.files, "Service files, or folders of them")->type_name("FILE")->required();

    auto* apply = command("apply", "Make services run and be reached as their files say",
                          [this] { return run_apply(globals_, change_); });
    apply->add_option("-f,--file", change_.files, "Service files, or folders of them")->type_name("FILE")->required();
    apply->add_flag("--force", change_.force, "Also when more instances go than the cluster's limit allows");

    auto* remove = command("delete", "Take services away", [this] { return run_delete(globals_, change_); });
    remove->add_option("services", change_.services, "Their names")->type_name("SERVICE")->required();
    remove->add_flag("-y,--yes", change_.yes, "Do not ask");

    auto* sync = command("sync", "Bring gateways and DNS servers that returned to the latest version",
                         [this] { return run_sync(globals_, repair_); });
    sync->add_flag("--repair", repair_, "Also put back what was changed by hand");
  }

  void declare_looks() {
    command("status", "Show the cluster; finishes or undoes what a killed command left",
            [this] { return run_status(globals_); });
    auto* ps = command("ps", "List instances", [this] { return run_ps(globals_, services_); });
    ps->add_option("services", services_, "Only of these services")->type_name("SERVICE");
    auto* logs = command("logs", "Show what instances print", [this] { return run_logs(globals_, logs_); });
    logs->add_option("name", logs_.name, "An instance, or a service for all of its instances")
        ->type_name("NAME")
        ->required();
    logs->add_flag("-f,--follow", logs_.follow, "Go on with what they print from now on");
    logs->add_option("-n,--tail", logs_.tail, "Only the last lines of each")->type_name("LINES");
    logs->add_flag("-t,--timestamps", logs_.timestamps, "Put the time before each line");
    command("version", "Show the version", [this] { return run_version(globals_); });
  }

  void declare_checks() {
    auto* plugin = app_.add_subcommand("plugin", "Look at plugins");
    plugin->require_subcommand(1);
    auto* ls = command(
        "ls", "List plugins, broken ones with the reason", [this] { return run_plugin_ls(globals_, folders_); },
        plugin);
    ls->add_option("--folder", folders_, "Look here instead of where the configuration says")->type_name("FOLDER");

    auto* config = app_.add_subcommand("config", "Check configurations");
    config->require_subcommand(1);
    auto* check = command(
        "check", "Say everything that is wrong with k4t.toml and service files",
        [this] { return run_config_check(globals_, change_.files); }, config);
    check->add_option("-f,--file", change_.files, "Service files to check as well")->type_name("FILE");
    auto* schema = command(
        "schema", "Print the JSON Schema of a file, for editors",
        [this] { return run_config_schema(globals_, schema_); }, config);
    schema->add_option("which", schema_, "Of which file")
        ->check(CLI::IsMember({"cluster", "service"}))
        ->type_name("cluster|service");

    command("doctor", "Check every configured thing and say what to do", [this] { return run_doctor(globals_); });
  }

  CLI::App app_{"k4t: a container orchestrator whose control plane is off by default"};
  Globals globals_;
  std::string output_ = "text";
  int verbose_ = 0;
  k4t::cli::ChangeArguments change_;
  bool repair_ = false;
  std::vector<std::string> services_;
  k4t::cli::LogsArguments logs_;
  std::vector<std::string> folders_;
  std::string schema_ = "cluster";
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
