#include "cli/session.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <random>
#include <thread>

#include "cli/console.hpp"
#include "config/message_ids.hpp"
#include "k4t/http.hpp"
#include "operation/node_set.hpp"

namespace k4t::cli {
namespace {

namespace fs = std::filesystem;

std::atomic<bool> interrupted_flag = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler writes it");

extern "C" void on_signal(int number) {
  if (interrupted_flag.exchange(true)) {
    std::signal(number, SIG_DFL);
    ::raise(number);
  }
}

std::string random_text(std::string_view alphabet, std::size_t length) {
  static std::random_device device;  // the kernel's generator
  std::uniform_int_distribution<std::size_t> pick(0, alphabet.size() - 1);
  std::string text;
  for (std::size_t i = 0; i < length; ++i) text += alphabet[pick(device)];
  return text;
}

std::string draw_run() { return random_text("0123456789abcdef", 32); }

std::string draw_instance_id() {
  return random_text("abcdefghijklmnopqrstuvwxyz", 1) + random_text("abcdefghijklmnopqrstuvwxyz0123456789", 5);
}

store::Seconds now_s() { return static_cast<store::Seconds>(std::time(nullptr)); }

std::string holder_of(const std::string& command) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const passwd* user = ::getpwuid(::getuid());  // NOLINT(concurrency-mt-unsafe): before any thread
  std::array<char, 32> time{};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return std::string(host.data()) + " " + (user == nullptr ? std::to_string(::getuid()) : user->pw_name) + " " +
         time.data() + " " + command;
}

Result<void> probe_endpoint(const gateway::Endpoint& endpoint, const gateway::Health& check) {
  const auto timeout = std::chrono::milliseconds(check.timeout_ms);
  if (check.protocol == gateway::Protocol::tcp) return http::probe_tcp(endpoint.address, endpoint.port, timeout);
  K4T_ASSIGN(const int status, http::probe(endpoint.address, endpoint.port, check.path, timeout));
  if (status >= 200 && status < 400) return {};
  return Error{Status::unavailable, "GET " + check.path + " answered " + std::to_string(status), {}};
}

std::vector<config::Diagnostic> check_driver(const plugin::Catalog& catalog, const config::Origins& origins,
                                             const char* section, const char* kind, const model::Driven& thing) {
  const auto library = catalog.find(kind, thing.driver);
  if (library) return config::check_options(origins, section, thing, (*library)->manifest().options_schema);
  config::Diagnostic missing;
  const auto place = origins.find("/" + std::string(section) + "/" + thing.name + "/driver");
  if (place) {
    missing.file = place->file;
    missing.line = place->at.line;
    missing.column = place->at.column;
  }
  // The catalog's message begins with its id, which has its own place here.
  const std::string& message = library.error().message;
  const auto colon = message.find(": ");
  missing.id = message.substr(0, colon);
  missing.cause = colon == std::string::npos ? message : message.substr(colon + 2);
  missing.remedy = "`k4t plugin ls` shows what there is";
  return {missing};
}

std::vector<config::Diagnostic> check_drivers(const plugin::Catalog& catalog, const config::Origins& origins,
                                              const model::Cluster& cluster, const std::set<std::string>& added) {
  std::vector<config::Diagnostic> found;
  const auto check = [&](const char* section, const char* kind, const model::Driven& thing) {
    auto more = check_driver(catalog, origins, section, kind, thing);
    found.insert(found.end(), more.begin(), more.end());
  };
  // Added nodes were checked when they were added; one that does not fit any more must not stop its own removal.
  for (const auto& node : cluster.nodes) {
    if (!added.contains(node.name)) check("node", runtime::Kind::name, node);
  }
  for (const auto& gateway : cluster.gateways) check("gateway", gateway::Kind::name, gateway);
  for (const auto& server : cluster.dns) check("dns", dns::Kind::name, server);
  for (const auto& witness : cluster.witnesses) {
    const auto server = std::find_if(cluster.dns.begin(), cluster.dns.end(),
                                     [&](const model::Driven& one) { return one.name == witness.dns; });
    if (server == cluster.dns.end()) continue;
    // Where the plugin is missing, that has been said.
    const bool there = catalog.find(dns::Kind::name, server->driver).ok();
    if (there && !catalog.has_capability(dns::Kind::name, server->driver, dns::capability::witness)) {
      found.push_back(config::cannot_witness(origins, witness, server->driver));
    }
  }
  return found;
}

/// Who has no k4t.toml is new here, or in another folder than they think.
void explain_missing(config::Diagnostic& diagnostic) {
  diagnostic.cause = "there is no such cluster file";
  diagnostic.remedy =
      "name it with -c FILE or K4T_CONFIG, or go to the folder that has k4t.toml; to make one, begin with "
      "config/k4t.toml"
      " of the documentation, an annotated example, and try it with `k4t config check`";
}

}  // namespace

std::string default_config_path() {
  if (const char* path = std::getenv("K4T_CONFIG")) return path;  // NOLINT(concurrency-mt-unsafe): before any thread
  std::error_code ignored;
  if (fs::exists("k4t.toml", ignored)) return "k4t.toml";
  return "/etc/k4t/k4t.toml";
}

std::vector<std::string> default_plugin_folders() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path beside = program.parent_path().parent_path() / "plugins";
  if (!error && fs::is_directory(beside, error)) return {beside.string()};
  return {K4T_PLUGIN_FOLDER};
}

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

void print_diagnostics(const Globals& globals, const std::vector<config::Diagnostic>& diagnostics,
                       const config::Sources& sources) {
  if (globals.json) {
    std::puts(config::render_json(diagnostics).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    return;
  }
  if (diagnostics.empty()) return;
  const Terminal terminal = terminal_of(stderr);
  const auto text = terminal.interactive ? config::render_terminal(diagnostics, sources, terminal.colours)
                                         : config::render_plain(diagnostics);
  put(stderr, text);
}

void print_error(const Globals& globals, const Error& error) {
  if (globals.json) {
    const Json json{
        {"error", {{"status", to_string(error.status)}, {"message", error.message}, {"detail", error.detail}}}};
    std::puts(json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    return;
  }
  const Terminal terminal = terminal_of(stderr);
  put(stderr, styled("error: ", Style::bad, terminal.colours) + printable(error.message) + '\n');
  if (error.detail.empty()) return;
  std::string indented = "  " + printable(error.detail, true);
  for (auto at = indented.find('\n'); at != std::string::npos; at = indented.find('\n', at + 3))
    indented.insert(at + 1, "  ");
  put(stderr, styled(indented, Style::dim, terminal.colours) + '\n');
}

void inherit_ssh(const plugin::Catalog& catalog, model::Cluster& cluster) {
  const auto inherit = [&](auto& things, const char* kind) {
    for (auto& thing : things) {
      const auto library = catalog.find(kind, thing.driver);
      if (library) drivers::inherit_ssh(thing, (*library)->manifest().options_schema, cluster.ssh);
    }
  };
  inherit(cluster.nodes, runtime::Kind::name);
  inherit(cluster.gateways, gateway::Kind::name);
  inherit(cluster.dns, dns::Kind::name);
}

std::set<std::string> named_files(const model::Cluster& cluster, const plugin::Catalog& catalog) {
  std::set<std::string> files(cluster.ssh.identity.begin(), cluster.ssh.identity.end());
  files.insert({cluster.ssh.known_hosts, cluster.ssh.passphrase_file});
  const auto add = [&](const auto& things, const char* kind) {
    for (const auto& thing : things) {
      const auto library = catalog.find(kind, thing.driver);
      if (library) files.merge(config::named_files(thing.options, (*library)->manifest().options_schema));
    }
  };
  add(cluster.nodes, runtime::Kind::name);
  add(cluster.gateways, gateway::Kind::name);
  add(cluster.dns, dns::Kind::name);
  // A relative one is another file on another day.
  std::erase_if(files, [](const std::string& file) { return !file.starts_with('/'); });
  return files;
}

std::unique_ptr<Session> Session::open(const Globals& globals, const std::vector<std::string>& service_files) {
  std::unique_ptr<Session> session(new Session);
  auto loaded = config::load(globals.config_path, service_files, {default_plugin_folders()},
                             [&](model::Cluster& cluster) { session->add_nodes(cluster); });
  auto diagnostics = loaded.diagnostics;
  for (auto& diagnostic : diagnostics) {
    if (diagnostic.id == config::id::missing_file && diagnostic.file == globals.config_path)
      explain_missing(diagnostic);
  }
  session->globals_ = globals;
  if (loaded.ok()) {
    session->cluster_ = std::move(loaded.value->cluster);
    session->services_ = std::move(loaded.value->services);
    session->catalog_ = plugin::Catalog::scan(session->cluster_.plugin_folders);
    auto more = check_drivers(session->catalog_, loaded.origins, session->cluster_, session->added_nodes_);
    diagnostics.insert(diagnostics.end(), more.begin(), more.end());
  }
  const bool wrong = config::has_errors(diagnostics);
  if (wrong || !globals.json) print_diagnostics(globals, diagnostics, loaded.sources);
  if (wrong) return nullptr;
  session->warnings_ = std::move(diagnostics);
  session->fleet_ = session->open_fleet(session->cluster_);
  return session;
}

/// k4t.toml has the first word. That the stored ones could not be read counts only once the store is needed.
void Session::add_nodes(model::Cluster& cluster) {
  stored_nodes_ = store::Store::peek_nodes(cluster.state_folder);
  if (!stored_nodes_) return;
  for (const auto& stored : *stored_nodes_) {
    const auto same = [&](const model::Node& node) { return node.name == stored.node.name; };
    if (std::any_of(cluster.nodes.begin(), cluster.nodes.end(), same)) continue;
    cluster.nodes.push_back(stored.node);
    added_nodes_.insert(stored.node.name);
  }
}

std::unique_ptr<drivers::Fleet> Session::open_fleet(model::Cluster& cluster) const {
  inherit_ssh(catalog_, cluster);
  return std::make_unique<drivers::Fleet>(cluster,
                                          [this](const std::string& driver, const std::string& kind,
                                                 const OpenRequest& request) -> Result<std::unique_ptr<Callee>> {
                                            K4T_ASSIGN(auto handle, catalog_.open(driver, kind, request));
                                            return std::unique_ptr<Callee>(std::move(handle));
                                          });
}

store::Store* Session::store(const std::string& command, store::Mode mode) {
  if (store_ != nullptr) return store_.get();
  auto opened = open_store(command, mode);
  if (!opened) {
    print_error(globals_, opened.error());
    return nullptr;
  }
  store_ = *std::move(opened);
  if (mode == store::Mode::change && !cluster_.backups.empty()) {
    beside_ = std::make_unique<backup::Beside>(cluster_.state_folder, cluster_, [this] { return copied_files(); });
  }
  return store_.get();
}

std::map<std::string, std::string> Session::copied_files() const {
  const auto host = transport::local_host();
  std::map<std::string, std::string> files;
  const auto take = [&](const std::string& name, const std::string& path) {
    // One that is not there now is missed by whoever reads it, and by doctor.
    if (auto text = host->read_file(path)) files[name] = *std::move(text);
  };
  take("k4t.toml", globals_.config_path);
  if (!cluster_.backup_key.encrypt) return files;
  for (const auto& file : named_files(cluster_, catalog_)) take(file, file);
  return files;
}

store::Store* Session::store_to_read(const std::string& command) {
  if (open_store(command, store::Mode::read).status() == Status::not_found) {
    if (const auto made = open_store(command, store::Mode::change); !made) {
      print_error(globals_, made.error());
      return nullptr;
    }
  }
  return store(command, store::Mode::read);
}

store::Store* Session::store_to_look(const std::string& command, bool& changing) {
  changing = true;
  auto opened = open_store(command, store::Mode::change);
  if (!opened && opened.status() == Status::busy) {
    changing = false;
    return store(command, store::Mode::read);
  }
  if (!opened) {
    print_error(globals_, opened.error());
    return nullptr;
  }
  store_ = *std::move(opened);
  return store_.get();
}

Result<std::unique_ptr<store::Store>> Session::open_store(const std::string& command, store::Mode mode) {
  K4T_ASSIGN(auto opened, store::Store::open(cluster_.state_folder, command, mode));
  K4T_TRY(stored_nodes_);
  if (mode == store::Mode::read) return opened;
  K4T_TRY(opened->claim_for(cluster_.name));
  K4T_ASSIGN(const auto id, opened->cluster_id());
  if (!id) K4T_TRY(opened->set_cluster_id(draw_run()));
  // They were read before the lock was held; a plan without one of them would take its instances for gone.
  K4T_ASSIGN(const auto now, opened->nodes());
  const auto same = [](const model::AddedNode& a, const model::AddedNode& b) { return Json(a.node) == Json(b.node); };
  if (!std::equal(now.begin(), now.end(), stored_nodes_->begin(), stored_nodes_->end(), same)) {
    return Error{Status::conflict, "another command has changed the set of nodes meanwhile; try again", {}};
  }
  K4T_TRY(operation::forget_strangers(*opened, cluster_));
  return opened;
}

operation::Environment Session::environment(const std::string& command, operation::Reporter& reporter) {
  operation::Environment environment{cluster_, *store_, *fleet_, reporter, interrupted_flag};
  environment.run = draw_run();
  environment.holder = holder_of(command);
  environment.take_over = globals_.take_over;
  environment.draw_id = draw_instance_id;
  environment.probe = probe_endpoint;
  environment.capabilities = [this](const std::string& driver, const std::string& kind) {
    const auto library = catalog_.find(kind, driver);
    return library ? (*library)->manifest().capabilities : std::vector<std::string>{};
  };
  environment.now_s = now_s;
  environment.pause = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); };
  environment.added_nodes = added_nodes_;
  return environment;
}

const std::atomic<bool>& interrupted() { return interrupted_flag; }

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace k4t::cli
