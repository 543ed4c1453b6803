#include <algorithm>
#include <cstdio>
#include <ctime>

#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/render_node.hpp"
#include "operation/node_set.hpp"
#include "operation/nodes.hpp"
#include "operation/observed.hpp"

/// Commands about nodes, and repair.

namespace k4t::cli {
namespace {

using operation::Report;

/// "key=value" → both. INVALID_ARGUMENT where it is not of that form.
Result<std::pair<std::string, std::string>> split(const std::string& option, const std::string& text) {
  const auto equals = text.find('=');
  if (equals != std::string::npos && equals > 0) return std::pair(text.substr(0, equals), text.substr(equals + 1));
  return Error{Status::invalid_argument, option + " '" + text + "' is not of the form key=value", {}};
}

/// A number, true, false, a list or a table is taken as such; everything else is text, also in double quotes.
Json option_value(const std::string& text) {
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() || value.is_null() ? Json(text) : value;
}

/// `a.b=c` is the member b of the option a, as in k4t.toml.
Result<void> put_option(const std::string& key, const Json& value, Json& options) {
  Json* at = &options;
  std::size_t begin = 0;
  for (auto dot = key.find('.'); dot != std::string::npos; dot = key.find('.', begin)) {
    at = &(*at)[key.substr(begin, dot - begin)];
    if (!at->is_null() && !at->is_object()) {
      return Error{Status::invalid_argument, "--option '" + key + "' is inside of what another one gives a value", {}};
    }
    begin = dot + 1;
  }
  (*at)[key.substr(begin)] = value;
  return {};
}

Result<model::Node> node_of(const NodeArguments& arguments) {
  config::NodeWords words;
  words.keys = {{"name", arguments.names.front()}, {"driver", arguments.driver}, {"address", arguments.address}};
  const auto give = [&words](const char* key, const std::string& text) {
    if (!text.empty()) words.keys[key] = text;
  };
  give("ports", arguments.ports);
  give("subnet", arguments.subnet);
  give("public_address", arguments.public_address);
  give("public_ports", arguments.public_ports);
  give("cpu", arguments.cpu);
  give("memory", arguments.memory);
  for (const auto& text : arguments.labels) {
    K4T_ASSIGN(const auto label, split("--label", text));
    words.labels.insert(label);
  }
  for (const auto& text : arguments.options) {
    K4T_ASSIGN(const auto option, split("--option", text));
    K4T_TRY(put_option(option.first, option_value(option.second), words.options));
  }
  return config::read_node(words);
}

/// What doctor would ask of it: its driver, the options' schema, an answer.
Result<plan::NodeView> try_node(Session& session, const model::Node& node) {
  K4T_ASSIGN(const auto library, session.catalog().find(runtime::Kind::name, node.driver));
  const auto wrong = config::check_options({}, "node", node, library->manifest().options_schema);
  if (!wrong.empty()) {
    return Error{Status::invalid_argument, wrong.front().cause + ": " + wrong.front().remedy, {}};
  }
  model::Cluster alone = session.cluster();
  alone.nodes = {node};
  alone.gateways.clear();
  alone.dns.clear();
  const auto fleet = session.open_fleet(alone);
  operation::Reporter quiet;
  const auto usual = session.environment("node add", quiet);
  const operation::Environment environment{alone, usual.store, *fleet, quiet, usual.interrupted};
  auto views = operation::read_nodes(environment);
  if (views.front().problem) return *views.front().problem;
  return std::move(views.front());
}

Exit look(const Globals& globals, const std::string& name) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  bool changing = false;
  if (session->store_to_look("node ls", changing) == nullptr) return Exit::failed;
  operation::Reporter quiet;
  const auto environment = session->environment("node ls", quiet);
  if (!name.empty()) {
    if (const auto there = operation::require_nodes(environment, {name}); !there) {
      return refused(globals, there.error());
    }
  }
  auto nodes = operation::look_at_nodes(environment, changing);
  if (!nodes) return refused(globals, nodes.error());
  if (!name.empty()) std::erase_if(*nodes, [&](const auto& one) { return one.config.name != name; });
  operation::look_at_usage(environment, *nodes);
  const bool colours = terminal_of(stdout).colours;
  if (name.empty()) {
    globals.json ? print_json(nodes_json(*nodes)) : put(stdout, render_nodes(*nodes, std::time(nullptr), colours));
    return Exit::done;
  }
  const auto& node = nodes->front();
  globals.json ? print_json(node_json(node)) : put(stdout, render_node(node, std::time(nullptr), colours));
  return Exit::done;
}

/// The end of a command that only keeps a word about nodes.
Exit noted(const Globals& globals, const Result<void>& done, const std::string& says) {
  if (!done) return refused(globals, done.error());
  if (globals.json) {
    print_json(Json{{"ending", "done"}});
  } else {
    put(stdout, printable(says) + '\n');
  }
  return Exit::done;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// Opens everything, runs `act` with it.
template <class Act>
Exit with_environment(const Globals& globals, const char* command, const Act& act) {
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (session->store(command) == nullptr) return Exit::failed;
  operation::Reporter quiet;
  return keep_copies(*session, command, act(*session, session->environment(command, quiet)));
}

/// INVALID_ARGUMENT: the node is not one that a command added.
Result<void> require_added(const operation::Environment& environment, const std::string& name) {
  if (environment.added_nodes.contains(name)) return {};
  K4T_TRY(operation::require_nodes(environment, {name}));
  K4T_ASSIGN(const auto stored, environment.store.nodes());
  if (std::any_of(stored.begin(), stored.end(), [&](const auto& one) { return one.node.name == name; })) return {};
  return Error{Status::invalid_argument,
               "node '" + name + "' is in k4t.toml: drain it, then take its [[node]] table out of the file",
               {}};
}

/// A change of all or some nodes that shows its plan first.
Exit with_consent(const Globals& globals, const char* command, const char* question, const NodeArguments& arguments,
                  const Carry& carry) {
  return with_environment(globals, command, [&](Session& session, const operation::Environment& environment) {
    if (const auto there = operation::require_nodes(environment, arguments.names); !there) {
      return refused(globals, there.error());
    }
    const auto consent = consent_to(globals, question, arguments.yes);
    if (!consent) return refused(globals, consent.error());
    Exit exit = Exit::failed;
    change(command, session, carry, *consent, false, exit);
    return exit;
  });
}

Exit remove_lost(Session& session, const NodeArguments& arguments) {
  const Globals& globals = session.globals();
  const std::string& name = arguments.names.front();
  const auto consent = consent_to(globals, "Declare " + name + " lost and remove it", arguments.yes);
  if (!consent) return refused(globals, consent.error());
  Exit exit = Exit::failed;
  const auto carry = [&](operation::Master& master, const operation::ApplyOptions& options) {
    return master.repair({name}, arguments.why, options);
  };
  const auto report = change("node rm", session, carry, *consent, false, exit);
  const bool ended =
      report && report->ending != operation::Ending::failed && report->ending != operation::Ending::unfinished;
  if (!ended) return exit;
  operation::Reporter quiet;
  const auto forgotten = operation::forget_node(session.environment("node rm", quiet), name);
  if (forgotten) return exit;
  print_error({}, forgotten.error());
  return Exit::unfinished;
}

}  // namespace

Exit run_node_ls(const Globals& globals) { return look(globals, {}); }

Exit run_node_show(const Globals& globals, const std::string& name) { return look(globals, name); }

Exit run_node_add(const Globals& globals, const NodeArguments& arguments) {
  const auto node = node_of(arguments);
  if (!node) return refused(globals, node.error());
  return with_environment(globals, "node add", [&](Session& session, const operation::Environment& environment) {
    if (const auto distinct = operation::check_distinct(session.cluster(), *node); !distinct) {
      return refused(globals, distinct.error());
    }
    const auto view = try_node(session, *node);
    if (!view && !arguments.force) {
      auto error = view.error();
      error.message += "; nothing was stored, --force adds it all the same";
      return refused(globals, error);
    }
    if (!view) print_error({}, view.error());
    const auto stored = environment.store.put_node({*node, environment.holder, environment.now_s()});
    return noted(globals, stored, "Added node " + node->name + (view ? ": " + view->info.runtime_version : "") + '.');
  });
}

Exit run_node_cordon(const Globals& globals, const NodeArguments& arguments) {
  return with_environment(globals, "node cordon", [&](Session&, const operation::Environment& environment) {
    return noted(globals, operation::cordon(environment, arguments.names, arguments.why),
                 "Nothing new will be placed on " + listed(arguments.names) + "; what runs there stays.");
  });
}

Exit run_node_uncordon(const Globals& globals, const NodeArguments& arguments) {
  return with_environment(globals, "node uncordon", [&](Session&, const operation::Environment& environment) {
    return noted(globals, operation::uncordon(environment, arguments.names),
                 "New instances may be placed on " + listed(arguments.names) + " again.");
  });
}

Exit run_node_drain(const Globals& globals, const NodeArguments& arguments) {
  return with_consent(globals, "node drain", "Drain", arguments,
                      [&](operation::Master& master, const operation::ApplyOptions& options) {
                        return master.drain(arguments.names, arguments.why, options);
                      });
}

Exit run_node_rm(const Globals& globals, const NodeArguments& arguments) {
  const std::string& name = arguments.names.front();
  return with_environment(globals, "node rm", [&](Session& session, const operation::Environment& environment) {
    if (const auto added = require_added(environment, name); !added) return refused(globals, added.error());
    if (arguments.lost && environment.added_nodes.contains(name)) return remove_lost(session, arguments);
    if (!environment.added_nodes.contains(name)) {
      // k4t.toml names it too, so that it stays a node of the cluster with all that is known of it.
      return noted(globals, environment.store.remove_node(name), "Node " + name + " is that of k4t.toml alone now.");
    }
    if (const auto empty = operation::check_empty(environment, name); !empty) return refused(globals, empty.error());
    return noted(globals, operation::forget_node(environment, name), "Removed node " + name + '.');
  });
}

Exit run_repair(const Globals& globals, const NodeArguments& arguments) {
  return with_consent(globals, "repair", "Repair", arguments,
                      [&](operation::Master& master, const operation::ApplyOptions& options) {
                        return master.repair(arguments.names, arguments.why, options);
                      });
}

}  // namespace k4t::cli
