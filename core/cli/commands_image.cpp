#include <algorithm>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/progress.hpp"
#include "cli/render_image.hpp"
#include "config/grammar.hpp"
#include "image/archive.hpp"
#include "operation/images.hpp"

/// Commands about images.

namespace k4t::cli {
namespace {

using operation::Delivered;
using operation::Delivery;

/// Where images come from, opened, and the fleet that it is of.
struct Source {
  std::unique_ptr<drivers::Fleet> own;  ///< nullptr: it is a node of the cluster
  drivers::NodeClient* client = nullptr;
};

Result<void> check_push(const ImageArguments& arguments) {
  for (const auto& image : arguments.images) {
    const auto parsed = config::parse_image(image);
    if (parsed) continue;
    return Error{Status::invalid_argument, "\"" + image + "\" is not an image's name: " + parsed.error().message, {}};
  }
  if (!arguments.images.empty() || !arguments.archive.empty()) return {};
  return Error{Status::invalid_argument, "which images? Name them, or a file with --archive", {}};
}

/// An engine that is no node, spoken to as the receivers are.
Result<Source> open_engine(Session& session, const std::string& driver, const std::string& host) {
  model::Node node;
  node.name = "from";
  node.driver = driver;
  node.address = "127.0.0.1";
  if (!host.empty()) node.options["host"] = host;
  K4T_ASSIGN(const auto library, session.catalog().find(runtime::Kind::name, driver));
  const auto wrong = config::check_options({}, "node", node, library->manifest().options_schema);
  if (!wrong.empty()) return Error{Status::invalid_argument, "--from: " + wrong.front().cause, {}};
  model::Cluster alone = session.cluster();
  alone.nodes = {node};
  alone.gateways.clear();
  alone.dns.clear();
  Source source{session.open_fleet(alone), nullptr};
  source.client = source.own->nodes().front().get();
  return source;
}

Result<Source> open_source(Session& session, const std::string& from, const std::string& driver) {
  if (auto* node = session.fleet().node(from)) return Source{nullptr, node};
  if (from.empty() || from.find("://") != std::string::npos) return open_engine(session, driver, from);
  return Error{Status::invalid_argument,
               "--from " + from + ": there is no such node, nor is it an engine such as unix:///var/run/docker.sock",
               {}};
}

Result<image::TarFile> open_archive(Session& session, const operation::Environment& environment,
                                    const ImageArguments& arguments, const std::string& driver) {
  if (!arguments.archive.empty()) return image::TarFile::open(arguments.archive);
  K4T_ASSIGN(const auto source, open_source(session, arguments.from, driver));
  auto spool = operation::fetch_images(environment, *source.client, arguments.images);
  if (spool) return image::TarFile::open(*std::move(spool));
  Error error = spool.error();
  if (arguments.from.empty() && error.status == Status::unavailable) {
    error.message += "; --from takes them from elsewhere, --archive from a file";
  }
  return error;
}

Result<std::vector<Delivery>> push(Session& session, const operation::Environment& environment,
                                   const ImageArguments& arguments) {
  K4T_ASSIGN(const auto nodes, operation::receivers(environment, arguments.nodes));
  K4T_ASSIGN(const auto tar, open_archive(session, environment, arguments, nodes.front()->config().driver));
  K4T_ASSIGN(auto packed, image::images_of(tar));
  K4T_ASSIGN(const auto images, image::select(std::move(packed), arguments.images));
  environment.reporter.stage("Bring " + std::to_string(images.size()) + (images.size() == 1 ? " image" : " images") +
                             " to " + std::to_string(nodes.size()) + (nodes.size() == 1 ? " node" : " nodes"));
  return operation::push_images(environment, tar, images, nodes);
}

Exit exit_of(const std::vector<Delivery>& deliveries) {
  const auto failed = std::count_if(deliveries.begin(), deliveries.end(),
                                    [](const Delivery& one) { return one.outcome == Delivered::failed; });
  if (failed == 0) return Exit::done;
  return static_cast<std::size_t>(failed) == deliveries.size() ? Exit::failed : Exit::partly;
}

/// What files want takes the place of what was declared before.
std::vector<model::Service> wanted_services(std::vector<model::Service> declared,
                                            const std::vector<model::Service>& files) {
  for (const auto& service : files) {
    std::erase_if(declared, [&](const model::Service& one) { return one.name == service.name; });
    declared.push_back(service);
  }
  return declared;
}

}  // namespace

Exit run_image_push(const Globals& globals, const ImageArguments& arguments) {
  if (const auto sound = check_push(arguments); !sound) return refused(globals, sound.error());
  const auto session = Session::open(globals);
  if (session == nullptr) return Exit::usage;
  if (session->store_to_read("image push") == nullptr) return Exit::failed;
  const auto reporter = make_reporter(stderr, globals.level);
  const auto deliveries = push(*session, session->environment("image push", *reporter), arguments);
  reporter->rest();
  if (!deliveries) return refused(globals, deliveries.error());
  globals.json ? print_json(deliveries_json(*deliveries))
               : put(stdout, render_deliveries(*deliveries, terminal_of(stdout).colours));
  return exit_of(*deliveries);
}

Exit run_image_ls(const Globals& globals, const ImageArguments& arguments) {
  const auto files = expand(arguments.files);
  if (!files) return refused(globals, files.error());
  const auto session = Session::open(globals, *files);
  if (session == nullptr) return Exit::usage;
  if (session->store_to_read("image ls") == nullptr) return Exit::failed;
  operation::Reporter quiet;
  const auto environment = session->environment("image ls", quiet);
  const auto nodes = operation::receivers(environment, arguments.nodes);
  if (!nodes) return refused(globals, nodes.error());
  auto declared = environment.store.services();
  if (!declared) return refused(globals, declared.error());
  const auto services = wanted_services(*std::move(declared), session->services());
  const auto sights = operation::look_at_images(services, *nodes);
  globals.json ? print_json(image_sights_json(sights))
               : put(stdout, render_image_sights(sights, terminal_of(stdout).colours));
  return Exit::done;
}

}  // namespace k4t::cli
