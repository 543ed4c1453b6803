#include "operation/images.hpp"

#include <algorithm>
#include <atomic>
#include <map>

#include "image/inventory.hpp"
#include "operation/node_set.hpp"
#include "operation/telling.hpp"
#include "platform/parallel.hpp"

namespace k4t::operation {

K4T_JSON_ENUM_DEFINE(Delivered)

namespace {

using std::chrono::steady_clock;

/// All of them share this machine's uplink.
constexpr std::size_t most_transfers = 8;
constexpr std::size_t most_looks = 64;
/// Of an engine that unpacks a large layer nothing may be heard for long.
constexpr auto patience = std::chrono::minutes(10);

/// Ends a transfer in which nothing moves any more.
class Transfer : public Telling {
 public:
  using Telling::Telling;
  bool cancelled() override { return stalled() || Telling::cancelled(); }
  void progress(const Progress& progress) override {
    moved();
    Telling::progress(progress);
  }
  [[nodiscard]] bool stalled() const { return steady_clock::now() - last_.load() > patience; }

 protected:
  void moved() { last_ = steady_clock::now(); }

 private:
  std::atomic<steady_clock::time_point> last_ = steady_clock::now();
};

class Fetch final : public Transfer {
 public:
  Fetch(const Environment& environment, const std::string& subject, image::Spool& spool)
      : Transfer(environment, subject), spool_(spool) {}
  bool stream(Channel /*channel*/, std::string_view bytes) override {
    moved();
    kept_ = spool_.append(bytes);
    return kept_.ok();
  }
  /// Whether all that came is kept.
  [[nodiscard]] const Result<void>& kept() const { return kept_; }

 private:
  image::Spool& spool_;
  Result<void> kept_;
};

std::string title_of(const image::PackedImage& image) {
  std::string text;
  for (const auto& name : image.names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? image.id : text;
}

Error explain(const Environment& environment, const Transfer& transfer, const Error& error) {
  if (environment.interrupted) return interrupted_error();
  if (!transfer.stalled()) return error;
  return Error{k4t::Status::deadline, "nothing has moved for " + std::to_string(patience.count()) + " minutes", {}};
}

/// Brings images to one node, one after another.
class Courier {
 public:
  Courier(const Environment& environment, const image::TarFile& tar, drivers::NodeClient& node)
      : environment_(environment), tar_(tar), node_(node) {}

  std::vector<Delivery> bring(const std::vector<image::PackedImage>& images) {
    const auto there = node_.images(/*layers=*/true);
    std::optional<Error> gone;
    if (!there) gone = there.error();
    image::Inventory inventory(there ? *there : std::vector<runtime::Image>{});
    std::vector<Delivery> all;
    for (const auto& image : images) {
      const Telling telling(environment_, subject_of(image));
      if (environment_.interrupted) gone = interrupted_error();
      all.push_back(gone ? failed(image, *gone) : bring_one(image, inventory));
      tell(telling, all.back());
      // What waits for a node that does not answer would only wait as long once more.
      if (all.back().why && is_silence(*all.back().why)) gone = all.back().why;
    }
    return all;
  }

 private:
  [[nodiscard]] std::string subject_of(const image::PackedImage& image) const {
    return "image " + title_of(image) + " on " + node_.config().name;
  }

  [[nodiscard]] Delivery failed(const image::PackedImage& image, const Error& why) const {
    return {node_.config().name, title_of(image), Delivered::failed, 0, 0, image.layers.size(), why};
  }

  static bool is_silence(const Error& error) {
    return error.status == k4t::Status::unavailable || error.status == k4t::Status::deadline;
  }

  static void tell(const Telling& telling, const Delivery& delivery) {
    if (delivery.why) {
      telling.tell("failed", delivery.why->message);
    } else if (delivery.outcome == Delivered::present) {
      telling.tell("present");
    } else {
      telling.tell("present", std::to_string(delivery.sent_layers) + " of " + std::to_string(delivery.layers) +
                                  " layers were sent");
    }
  }

  Delivery bring_one(const image::PackedImage& image, image::Inventory& inventory) const {
    Delivery delivery{node_.config().name, title_of(image), Delivered::present, 0, 0, image.layers.size(), {}};
    if (inventory.has(image)) return delivery;
    auto request = inventory.request_for(image, tar_.path());
    auto loaded = load(request, subject_of(image));
    if (loaded.status() == k4t::Status::conflict) {
      // Somebody removed a layer meanwhile, or the runtime wants to see all of them.
      for (auto& layer : request.layers) layer.left_out = false;
      loaded = load(request, subject_of(image));
    }
    if (!loaded) return failed(image, loaded.error());
    inventory.add(image);
    delivery.outcome = Delivered::loaded;
    delivery.sent_bytes = loaded->sent_bytes;
    delivery.sent_layers = image::sent_layers(request);
    return delivery;
  }

  Result<runtime::LoadReply> load(const runtime::LoadRequest& request, const std::string& subject) const {
    Transfer transfer(environment_, subject);
    auto loaded = node_.load_image(request, &transfer);
    if (!loaded) return explain(environment_, transfer, loaded.error());
    return loaded;
  }

  const Environment& environment_;
  const image::TarFile& tar_;
  drivers::NodeClient& node_;
};

/// A source that is no node of the cluster must not be called one.
Error of_source(const Environment& environment, const drivers::NodeClient& source, Error error) {
  const std::string& name = source.config().name;
  const std::string prefix = "node '" + name + "': ";
  const bool is_node = environment.fleet.node(name) == &source;
  if (!is_node && error.message.starts_with(prefix)) error.message.erase(0, prefix.size());
  return error;
}

bool takes_images(const Environment& environment, const drivers::NodeClient& node) {
  const auto all = environment.capabilities(node.config().driver, runtime::Kind::name);
  return std::find(all.begin(), all.end(), runtime::capability::images_transfer) != all.end();
}

Result<std::vector<drivers::NodeClient*>> named_receivers(const Environment& environment,
                                                          const std::vector<std::string>& names) {
  K4T_TRY(require_nodes(environment, names));
  std::vector<drivers::NodeClient*> nodes;
  for (const auto& node : environment.fleet.nodes()) {
    if (std::find(names.begin(), names.end(), node->config().name) == names.end()) continue;
    if (!takes_images(environment, *node)) {
      return Error{k4t::Status::invalid_argument,
                   "node '" + node->config().name + "' takes no images: its driver '" + node->config().driver +
                       "' has not the capability " + runtime::capability::images_transfer,
                   {}};
    }
    nodes.push_back(node.get());
  }
  return nodes;
}

}  // namespace

Result<std::vector<drivers::NodeClient*>> receivers(const Environment& environment,
                                                    const std::vector<std::string>& names) {
  if (!names.empty()) return named_receivers(environment, names);
  K4T_ASSIGN(const auto marks, environment.store.marks());
  std::vector<drivers::NodeClient*> nodes;
  for (const auto& node : environment.fleet.nodes()) {
    const auto is_lost = [&](const model::NodeMark& mark) {
      return mark.node == node->config().name && mark.mark == model::Mark::lost;
    };
    if (!takes_images(environment, *node) || std::any_of(marks.begin(), marks.end(), is_lost)) continue;
    nodes.push_back(node.get());
  }
  if (!nodes.empty()) return nodes;
  return Error{k4t::Status::invalid_argument,
               std::string("the cluster has no node that takes images: no driver of one has the capability ") +
                   runtime::capability::images_transfer,
               {}};
}

Result<image::Spool> fetch_images(const Environment& environment, drivers::NodeClient& source,
                                  const std::vector<std::string>& images) {
  K4T_ASSIGN(auto spool, image::Spool::create());
  std::string title;
  for (const auto& image : images) title += (title.empty() ? "" : ", ") + image;
  Fetch fetch(environment, "image " + title, spool);
  fetch.tell("fetching");
  const auto saved = source.save_images(images, &fetch);
  const Result<void> outcome = !fetch.kept() ? fetch.kept()
                               : saved       ? Result<void>()
                                       : explain(environment, fetch, of_source(environment, source, saved.error()));
  if (!outcome) {
    fetch.tell("failed", outcome.error().message);
    return outcome.error();
  }
  if (environment.interrupted) return interrupted_error();
  fetch.tell("fetched");
  return spool;
}

std::vector<Delivery> push_images(const Environment& environment, const image::TarFile& tar,
                                  const std::vector<image::PackedImage>& images,
                                  const std::vector<drivers::NodeClient*>& nodes) {
  const auto deliveries = platform::parallel_map(
      nodes, most_transfers, [&](drivers::NodeClient* node) { return Courier(environment, tar, *node).bring(images); });
  std::vector<Delivery> all;
  for (const auto& some : deliveries) all.insert(all.end(), some.begin(), some.end());
  return all;
}

std::vector<ImageSight> look_at_images(const std::vector<model::Service>& services,
                                       const std::vector<drivers::NodeClient*>& nodes) {
  const auto found = platform::parallel_map(nodes, most_looks,
                                            [](drivers::NodeClient* node) { return node->images(/*layers=*/false); });
  std::map<std::string, ImageSight> all;
  for (const auto& service : services) {
    if (!service.image.empty()) all[service.image].services.push_back(service.name);
  }
  std::vector<ImageSight> sights;
  for (auto& [name, sight] : all) {
    sight.image = name;
    const auto is_it = [&, wanted = image::familiar_name(name)](const runtime::Image& one) {
      return one.id == name || std::find(one.names.begin(), one.names.end(), wanted) != one.names.end();
    };
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      const bool there = found[n] && std::any_of(found[n]->begin(), found[n]->end(), is_it);
      (!found[n] ? sight.unknown : there ? sight.on : sight.not_on).push_back(nodes[n]->config().name);
    }
    sights.push_back(std::move(sight));
  }
  return sights;
}

}  // namespace k4t::operation
