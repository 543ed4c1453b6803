#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>
#include <mutex>

#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/progress.hpp"
#include "cli/render.hpp"
#include "cli/render_backup.hpp"
#include "cli/render_status.hpp"
#include "cli/status_printer.hpp"
#include "operation/master.hpp"
#include "operation/nodes.hpp"
#include "platform/parallel.hpp"

/// Commands that look: status, ps, logs, version.

namespace k4t::cli {
namespace {

/// Finishes or undoes what a killed command of this master left.
Result<void> settle(operation::Master& master) {
  K4T_ASSIGN(const bool left, master.needs_recovery());
  if (!left) return {};
  K4T_ASSIGN(const auto report, master.recover());
  if (report.ending == operation::Ending::unfinished && report.why) return *report.why;
  return {};
}

/// Finishes a vote that another master left.
Result<void> finish_vote(operation::Master& master) {
  K4T_ASSIGN(const auto report, master.sync(false));
  if (report.why) return *report.why;
  return {};
}

/// Answers that come this soon after one another are printed in order. Who is silent for longer has its lines later.
constexpr std::chrono::milliseconds order_patience{500};

/// Reads everything, and prints meanwhile what is known; as JSON at the end only.
Result<operation::Status> look(Session& session, Progress& reporter, operation::Master& master, bool even_unfinished) {
  reporter.rest();
  if (session.globals().json) return master.status();
  bool printed = false;
  const auto write = [&](const std::string& text) {
    printed = true;
    put(stdout, text);
    std::fflush(stdout);
  };
  StatusPrinter printer(session.cluster(), terminal_of(stdout).colours, even_unfinished, order_patience, write);
  auto status = master.status(&printer);
  if (status && (even_unfinished || !status->assessment.unfinished)) {
    printer.finish(*status);
  } else if (printed) {
    write("\n");
  }
  return status;
}

/// All instances of the cluster, read now; what is wrong with a node is told on standard error.
std::vector<plan::Placed> read_instances(Session& session, operation::Reporter& reporter) {
  const auto environment = session.environment("look", reporter);
  const auto views = operation::read_nodes(environment);
  for (const auto& view : views) {
    if (!view.problem) continue;
    print_error({}, view.problem->within("unknown"));
  }
  auto instances = operation::placed_instances(environment, views);
  std::sort(instances.begin(), instances.end(), [](const auto& a, const auto& b) {
    return std::tie(a.service, a.node, a.name) < std::tie(b.service, b.node, b.name);
  });
  return instances;
}

/// How lines of logs are shown: as they are, behind their instance's name where there are several, or one JSON object
/// each. JSON lines go to standard output whatever channel they came from, and name it.
struct LogForm {
  bool json = false;
  bool several = false;
  std::mutex mutex;
};

/// Writes a stream's whole lines until nobody reads them any more.
class LineSink final : public CallSink {
 public:
  LineSink(std::string instance, LogForm& form) : instance_(std::move(instance)), form_(form) {}
  ~LineSink() override {
    if (!out_.empty()) write(out_, Channel::out);
    if (!err_.empty()) write(err_, Channel::err);
  }
  bool cancelled() override { return interrupted() || closed_; }
  bool stream(Channel channel, std::string_view bytes) override {
    std::string& pending = channel == Channel::out ? out_ : err_;
    pending += bytes;
    for (auto end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
      write(pending.substr(0, end), channel);
      pending.erase(0, end + 1);
    }
    return !cancelled();
  }

 private:
  void write(const std::string& line, Channel channel) {
    const std::scoped_lock lock(form_.mutex);
    std::FILE* to = channel == Channel::out || form_.json ? stdout : stderr;
    if (form_.json) {
      const Json json{{"instance", instance_}, {"channel", channel == Channel::out ? "out" : "err"}, {"line", line}};
      std::fprintf(to, "%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    } else {
      std::fprintf(to, "%s%s\n", form_.several ? (instance_ + " | ").c_str() : "",
                   terminal_of(to).interactive ? printable(line).c_str() : line.c_str());
    }
    std::fflush(to);
    closed_ = closed_ || std::ferror(stdout) != 0;
  }
  std::string instance_;
  LogForm& form_;
  std::atomic<bool> closed_ = false;
  std::string out_;
  std::string err_;
};

}  // namespace

void print_json(const Json& json) { std::puts(json.dump(2, ' ', false, Json::error_handler_t::replace).c_str()); }

Exit run_status(const Globals& globals) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (session->store("status") == nullptr) return Exit::failed;
  const auto reporter = make_reporter(stderr, globals.level);
  operation::Master master(session->environment("status", *reporter));
  auto settled = settle(master);
  auto status = look(*session, *reporter, master, !settled);
  if (settled && status && status->assessment.unfinished) {
    settled = finish_vote(master);
    status = look(*session, *reporter, master, true);
  }
  if (!settled) print_error({}, settled.error().within("what an earlier command left could not be settled"));
  if (!status) {
    print_error(globals, status.error());
    return Exit::failed;
  }
  const auto copies = look_at_copies(*session, *session->store("status"));
  if (globals.json) {
    Json json = status_json(session->cluster(), *status);
    json["copies"] = standings_json(copies);
    print_json(json);
  } else {
    put(stdout, render_standings(copies, std::time(nullptr), terminal_of(stdout).colours));
  }
  if (!settled || status->assessment.unfinished) return Exit::unfinished;
  const auto& members = status->assessment.members;
  const bool lagging = std::any_of(members.begin(), members.end(), [](const txn::Member& member) {
    return member.listed && member.standing != txn::Standing::current;
  });
  return lagging ? Exit::lagging : Exit::done;
}

Exit run_ps(const Globals& globals, const std::vector<std::string>& services) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (session->store("ps", store::Mode::read) == nullptr) return Exit::failed;
  operation::Reporter quiet;
  auto instances = read_instances(*session, quiet);
  if (!services.empty()) {
    std::erase_if(instances, [&](const plan::Placed& placed) {
      return std::find(services.begin(), services.end(), placed.service) == services.end();
    });
  }
  if (globals.json) {
    print_json(Json(instances));
  } else {
    put(stdout, render_instances(instances, std::time(nullptr), terminal_of(stdout).colours));
  }
  return Exit::done;
}

Exit run_logs(const Globals& globals, const LogsArguments& arguments) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (session->store("logs", store::Mode::read) == nullptr) return Exit::failed;
  operation::Reporter quiet;
  auto instances = read_instances(*session, quiet);
  std::erase_if(instances, [&](const plan::Placed& placed) {
    return placed.name != arguments.name && placed.service != arguments.name && placed.instance != arguments.name;
  });
  if (instances.empty()) {
    print_error(globals, {Status::not_found,
                          "there is no instance or service '" + arguments.name + "'; see `k4t ps` for what there is",
                          {}});
    return Exit::usage;
  }
  LogForm form;
  form.json = globals.json;
  form.several = instances.size() > 1;
  const auto results = platform::parallel_map(instances, instances.size(), [&](const plan::Placed& placed) {
    LineSink sink(placed.name, form);
    return session->fleet()
        .node(placed.node)
        ->logs({placed.name, arguments.follow, arguments.tail, arguments.timestamps}, &sink);
  });
  Exit exit = Exit::done;
  for (const auto& result : results) {
    if (result || interrupted()) continue;
    // Standard output holds lines by now, so not there even where JSON was asked for.
    print_error({}, result.error());
    exit = Exit::failed;
  }
  return exit;
}

std::string version_line() {
  return std::string("k4t " K4T_VERSION " (driver ABI ") + std::to_string(K4T_ABI_MAJOR) + '.' +
         std::to_string(K4T_ABI_MINOR) + "; runtime.v1, gateway.v1, dns.v1, power.v1)";
}

Exit run_version(const Globals& globals) {
  if (globals.json) {
    print_json(Json{{"version", K4T_VERSION},
                    {"driver_abi", std::to_string(K4T_ABI_MAJOR) + "." + std::to_string(K4T_ABI_MINOR)},
                    {"apis", {"runtime.v1", "gateway.v1", "dns.v1", "power.v1"}}});
  } else {
    std::printf("%s\n", version_line().c_str());
  }
  return Exit::done;
}

}  // namespace k4t::cli
