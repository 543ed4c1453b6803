// k4t-conformance PLUGIN.so --kind KIND --config FILE
//
// Runs the conformance suite of a kind on any plugin, loaded as the master loads it. FILE (JSON) says what to open and
// what may be done to the server; docs/driver-authors.md describes it. Exit code 0: conforms, 1: does not, 2: could not
// be run.

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include <CLI/CLI.hpp>

#include "k4t/conformance.hpp"
#include "k4t/transport.hpp"
#include "plugin/handle.hpp"

namespace {

using k4t::Json;
using k4t::Result;
using k4t::conformance::Findings;

using Argv = std::vector<std::string>;

/// What may be done to the server: one command each, run without a shell.
struct Commands {
  Argv take_down;
  Argv bring_up;
  Argv restart;
  Argv freeze;
  Argv thaw;
  Argv drift;
};
K4T_JSON(Commands, take_down, bring_up, restart, freeze, thaw, drift)

struct Config {
  k4t::OpenRequest open;
  Commands hooks;
  std::uint32_t timeout_ms = 30000;
  std::uint16_t listen_port = 18080;                 ///< gateway: the port of the small states
  k4t::runtime::InstanceSpec instance;               ///< runtime
  std::string log_line;                              ///< runtime
  std::string foreign_name;                          ///< runtime
  std::vector<std::string> exec_command = {"true"};  ///< runtime
  std::string machine;                               ///< power
};
K4T_JSON(Config, open, hooks, timeout_ms, listen_port, instance, log_line, foreign_name, exec_command, machine)

Result<Config> read_config(const std::string& file) {
  std::ifstream in(file);
  if (!in) return k4t::Error{k4t::Status::not_found, "cannot read '" + file + "'", {}};
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return k4t::Error{k4t::Status::invalid_argument, "'" + file + "' is not JSON", {}};
  return k4t::decode<Config>(json);
}

/// A hook that runs a command and throws where it fails; absent where there is none.
std::function<void()> hook(const Argv& argv) {
  if (argv.empty()) return nullptr;
  return [argv] {
    k4t::transport::Command command;
    command.argv = argv;
    const auto ran = k4t::transport::local_host()->run(command);
    if (!ran) throw std::runtime_error(argv[0] + ": " + ran.error().message);
    if (ran->exit_code != 0) {
      throw std::runtime_error(argv[0] + " exited with " + std::to_string(ran->exit_code) + ": " + ran->err);
    }
  };
}

class Program {
 public:
  Program(Config config, std::shared_ptr<const k4t::plugin::Library> library)
      : config_(std::move(config)), library_(std::move(library)) {}

  Result<Findings> run() {
    K4T_ASSIGN(const auto handle, k4t::plugin::Handle::open(library_, config_.open));
    const std::string& kind = library_->manifest().kind;
    if (kind == k4t::gateway::Kind::name) {
      auto subject = subject_for<k4t::conformance::GatewaySubject>(*handle);
      subject.state = [port = config_.listen_port](unsigned n) {
        return k4t::conformance::small_gateway_state(port, n);
      };
      return k4t::conformance::check_gateway(subject);
    }
    if (kind == k4t::dns::Kind::name) {
      auto subject = subject_for<k4t::conformance::DnsSubject>(*handle);
      subject.state = [suffix = config_.open.domain](unsigned n) {
        return k4t::conformance::small_dns_state(suffix, n);
      };
      return k4t::conformance::check_dns(subject);
    }
    if (kind == k4t::runtime::Kind::name) {
      auto subject = subject_for<k4t::conformance::RuntimeSubject>(*handle);
      subject.instance = config_.instance;
      subject.log_line = config_.log_line;
      subject.foreign_name = config_.foreign_name;
      subject.exec_command = config_.exec_command;
      return k4t::conformance::check_runtime(subject);
    }
    auto subject = subject_for<k4t::conformance::PowerSubject>(*handle);
    subject.machine = config_.machine;
    return k4t::conformance::check_power(subject);
  }

 private:
  template <class Subject>
  Subject subject_for(k4t::Callee& driver) {
    Subject subject;
    subject.driver = &driver;
    subject.capabilities = library_->manifest().capabilities;
    subject.timeout = std::chrono::milliseconds(config_.timeout_ms);
    const Commands& commands = config_.hooks;
    subject.hooks = {hook(commands.take_down),    hook(commands.bring_up), hook(commands.restart),
                     hook(commands.freeze),       hook(commands.thaw),     hook(commands.drift),
                     [this] { return another(); }};
    return subject;
  }

  std::unique_ptr<k4t::Callee> another() {
    auto opened = k4t::plugin::Handle::open(library_, config_.open);
    if (!opened) throw std::runtime_error(opened.error().message);
    return *std::move(opened);
  }

  Config config_;
  std::shared_ptr<const k4t::plugin::Library> library_;
};

int fail(const k4t::Error& error) {
  std::cerr << "k4t-conformance: " << error.message << '\n';
  if (!error.detail.empty()) std::cerr << error.detail << '\n';
  return 2;
}

int check(const std::string& plugin, const std::string& kind, const std::string& config_file) {
  auto config = read_config(config_file);
  if (!config) return fail(config.error());
  auto library = k4t::plugin::Library::load(plugin);
  if (!library) return fail(library.error());
  if ((*library)->manifest().kind != kind) {
    return fail({k4t::Status::invalid_argument, "the plugin is a " + (*library)->manifest().kind + " driver", {}});
  }
  const auto findings = Program(*std::move(config), *library).run();
  if (!findings) return fail(findings.error());
  for (const auto& finding : *findings) std::cout << finding << '\n';
  return k4t::conformance::conforms(*findings) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Checks whether a driver keeps the promises of its kind, on a real server");
  std::string plugin;
  std::string kind;
  std::string config;
  app.add_option("plugin", plugin, "The plugin's shared library")->required();
  app.add_option("--kind", kind, "What it is meant to be")
      ->required()
      ->check(CLI::IsMember({"runtime", "gateway", "dns", "power"}));
  app.add_option("--config", config, "JSON: what to open and what may be done to the server")->required();
  CLI11_PARSE(app, argc, argv);
  return check(plugin, kind, config);
}
