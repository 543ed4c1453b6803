#include "operation/images.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <numeric>
#include <semaphore>
#include <set>

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
/// A share costs each node one more login.
constexpr std::uint64_t least_saved_bytes = 1u << 20;
constexpr std::uint32_t share_limit_s = 2 * 60 * 60;
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

/// What one node shares with others of its driver; nothing where there is none such.
class Relay {
 public:
  Relay() = default;
  Relay(drivers::NodeClient& node, std::vector<runtime::LoadRequest> loads, runtime::ShareReply reply)
      : node_(&node), loads_(std::move(loads)), reply_(std::move(reply)) {}
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  Relay(Relay&& other) noexcept
      : node_(std::exchange(other.node_, nullptr)), loads_(std::move(other.loads_)), reply_(std::move(other.reply_)) {}
  Relay& operator=(Relay&&) = delete;
  /// It ends by itself too, only later.
  ~Relay() {
    if (node_ != nullptr) static_cast<void>(node_->end_share(reply_.share));
  }

  [[nodiscard]] const std::string& from() const { return node_->config().name; }
  /// For exactly this load; empty: it is not shared.
  [[nodiscard]] std::string ticket(const runtime::LoadRequest& load) const {
    const auto found = std::find(loads_.begin(), loads_.end(), load);
    return found == loads_.end() ? std::string() : reply_.tickets[static_cast<std::size_t>(found - loads_.begin())];
  }

 private:
  drivers::NodeClient* node_ = nullptr;
  std::vector<runtime::LoadRequest> loads_;
  runtime::ShareReply reply_;
};

/// Brings images to one node, one after another.
class Courier {
 public:
  Courier(const Environment& environment, const image::TarFile& tar, drivers::NodeClient& node)
      : environment_(environment), tar_(tar), node_(node) {}

  /// Comes first: finds out what is there.
  void look() {
    auto there = node_.images(/*layers=*/true);
    if (!there) gone_ = there.error();
    if (there) shares_ = there->shares;
    inventory_ = image::Inventory(there ? there->images : std::vector<runtime::Image>{});
  }

  [[nodiscard]] drivers::NodeClient& node() const { return node_; }
  [[nodiscard]] bool shares() const { return shares_; }

  /// Those that bring() will make, if nothing goes wrong.
  [[nodiscard]] std::vector<runtime::LoadRequest> loads(const std::vector<image::PackedImage>& images) const {
    std::vector<runtime::LoadRequest> all;
    image::Inventory inventory = inventory_;
    for (const auto& image : images) {
      if (gone_ || inventory.has(image)) continue;
      all.push_back(inventory.request_for(image, tar_.path()));
      inventory.add(image);
    }
    return all;
  }

  std::vector<Delivery> bring(const std::vector<image::PackedImage>& images, const Relay& relay) {
    std::vector<Delivery> all;
    for (const auto& image : images) {
      const Telling telling(environment_, subject_of(image));
      if (environment_.interrupted) gone_ = interrupted_error();
      all.push_back(gone_ ? failed(image, *gone_) : bring_one(image, relay));
      tell(telling, all.back());
      // What waits for a node that does not answer would only wait as long once more.
      if (all.back().why && is_silence(*all.back().why)) gone_ = all.back().why;
    }
    return all;
  }

 private:
  [[nodiscard]] std::string subject_of(const image::PackedImage& image) const {
    return "image " + title_of(image) + " on " + node_.config().name;
  }

  [[nodiscard]] Delivery begun(const image::PackedImage& image) const {
    Delivery delivery;
    delivery.node = node_.config().name;
    delivery.image = title_of(image);
    delivery.layers = image.layers.size();
    return delivery;
  }

  [[nodiscard]] Delivery failed(const image::PackedImage& image, const Error& why) const {
    Delivery delivery = begun(image);
    delivery.why = why;
    return delivery;
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
                                  " layers were sent" + (delivery.from.empty() ? "" : " by " + delivery.from));
    }
  }

  Delivery bring_one(const image::PackedImage& image, const Relay& relay) {
    Delivery delivery = begun(image);
    delivery.outcome = Delivered::present;
    if (inventory_.has(image)) return delivery;
    auto request = inventory_.request_for(image, tar_.path());
    auto loaded = load_shared(request, relay, delivery);
    if (is_of_the_way(loaded.status())) loaded = load(request, delivery);
    if (loaded.status() == k4t::Status::conflict) {
      // Somebody removed a layer meanwhile, or the runtime wants to see all of them.
      for (auto& layer : request.layers) layer.left_out = false;
      loaded = load(request, delivery);
    }
    if (!loaded) return failed(image, loaded.error());
    inventory_.add(image);
    delivery.outcome = Delivered::loaded;
    delivery.sent_bytes = loaded->sent_bytes;
    delivery.sent_layers = image::sent_layers(request);
    return delivery;
  }

  /// The node cannot get it from another one, or was given something else there.
  static bool is_of_the_way(k4t::Status status) {
    return status == k4t::Status::unsupported || status == k4t::Status::invalid_argument;
  }

  /// Errors: see is_of_the_way(); others are the same whoever sends it.
  Result<runtime::LoadReply> load_shared(runtime::LoadRequest request, const Relay& relay, Delivery& delivery) const {
    request.ticket = relay.ticket(request);
    if (request.ticket.empty()) return Error{k4t::Status::unsupported, "it is not shared", {}};
    auto loaded = load(request, delivery);
    if (loaded) delivery.from = relay.from();
    if (is_of_the_way(loaded.status())) {
      environment_.reporter.warning(loaded.error().message + "; image " + delivery.image +
                                    " is sent to it from here instead of by " + relay.from());
    }
    return loaded;
  }

  Result<runtime::LoadReply> load(const runtime::LoadRequest& request, const Delivery& delivery) const {
    Transfer transfer(environment_, "image " + delivery.image + " on " + delivery.node);
    auto loaded = node_.load_image(request, &transfer);
    if (!loaded) return explain(environment_, transfer, loaded.error());
    return loaded;
  }

  const Environment& environment_;
  const image::TarFile& tar_;
  drivers::NodeClient& node_;
  std::optional<Error> gone_;
  bool shares_ = false;
  image::Inventory inventory_{{}};
};

/// Who needs what, of the nodes that share with each other.
struct Demand {
  struct Need {
    drivers::NodeClient* node = nullptr;
    std::uint64_t bytes = 0;
  };
  std::vector<Need> needs;                  ///< the largest first
  std::vector<runtime::LoadRequest> loads;  ///< each once
  std::uint64_t saved_bytes = 0;            ///< that would leave this machine more than once otherwise
};

Demand demand_of(const std::vector<const Courier*>& couriers, const std::vector<image::PackedImage>& images) {
  Demand demand;
  std::set<std::uint64_t> wanted;  // where layers begin in the archive
  for (const auto* courier : couriers) {
    // What one driver gives out no other understands.
    const bool alien =
        !demand.needs.empty() && demand.needs.front().node->config().driver != courier->node().config().driver;
    if (!courier->shares() || alien) continue;
    Demand::Need need{&courier->node(), 0};
    for (const auto& load : courier->loads(images)) {
      if (image::sent_layers(load) == 0) continue;
      for (const auto& layer : load.layers) {
        if (layer.left_out) continue;
        need.bytes += layer.at.bytes;
        if (!wanted.insert(layer.at.offset_bytes).second) demand.saved_bytes += layer.at.bytes;
      }
      if (std::ranges::find(demand.loads, load) == demand.loads.end()) demand.loads.push_back(load);
    }
    if (need.bytes > 0) demand.needs.push_back(need);
  }
  std::ranges::stable_sort(demand.needs, std::greater<>(), &Demand::Need::bytes);
  return demand;
}

/// Lets one node share what several need, if that is worth the trouble and one can.
Relay share(const Environment& environment, const Demand& demand) {
  if (demand.saved_bytes < least_saved_bytes) return {};
  for (const auto& need : demand.needs) {
    if (environment.interrupted) break;
    Transfer transfer(environment, "images on " + need.node->config().name);
    auto shared = need.node->share_images({demand.loads, share_limit_s}, &transfer);
    if (shared) {
      transfer.tell("shared");
      return {*need.node, demand.loads, *std::move(shared)};
    }
    const Error why = explain(environment, transfer, shared.error());
    if (why.status == k4t::Status::unsupported) {
      environment.reporter.warning(why.message + "; it does not share images with the other nodes");
    } else {
      transfer.tell("failed", why.message);
    }
  }
  return {};
}

/// Where couriers wait for each other, to find out what several of them need. Who is late, because its node answers
/// slowly or not at all, is not waited for long; it takes what is shared if that is what it needs. Thread-safe.
class Meeting {
 public:
  Meeting(const Environment& environment, const std::vector<image::PackedImage>& images, std::size_t expected)
      : environment_(environment), images_(images), couriers_(expected) {}

  /// That one, at its place among the expected ones, has looked.
  void arrive(std::size_t place, const Courier& courier) {
    const std::scoped_lock lock(mutex_);
    if (arrived_++ == 0) until_ = steady_clock::now() + latecomers_wait;
    couriers_[place] = &courier;
    changed_.notify_all();
  }

  /// What is shared. REQUIRES: the caller has arrived, and its courier lives until this returns.
  const Relay& relay() {
    std::call_once(shared_, [&] { relay_.emplace(share(environment_, demand_of(await(), images_))); });
    return *relay_;
  }

 private:
  static constexpr auto latecomers_wait = std::chrono::seconds(2);

  std::vector<const Courier*> await() {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, until_, [&] { return arrived_ == couriers_.size(); });
    auto present = couriers_;
    std::erase(present, nullptr);
    return present;
  }

  const Environment& environment_;
  const std::vector<image::PackedImage>& images_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<const Courier*> couriers_;  ///< guarded by mutex_; nullptr: not yet
  std::size_t arrived_ = 0;               ///< guarded by mutex_
  steady_clock::time_point until_;        ///< guarded by mutex_
  std::once_flag shared_;
  std::optional<Relay> relay_;
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
  std::vector<std::size_t> places(nodes.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::counting_semaphore<most_transfers> free_ways(most_transfers);
  Meeting meeting(environment, images, nodes.size());
  const auto deliveries = platform::parallel_map(places, most_looks, [&](std::size_t place) {
    Courier courier(environment, tar, *nodes[place]);
    courier.look();
    meeting.arrive(place, courier);
    const Relay& relay = meeting.relay();
    free_ways.acquire();
    auto brought = courier.bring(images, relay);
    free_ways.release();
    return brought;
  });
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
    const auto is_it = [&id = sight.image, wanted = image::familiar_name(name)](const runtime::Image& one) {
      return one.id == id || std::find(one.names.begin(), one.names.end(), wanted) != one.names.end();
    };
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      const bool there = found[n] && std::ranges::any_of(found[n]->images, is_it);
      (!found[n] ? sight.unknown : there ? sight.on : sight.not_on).push_back(nodes[n]->config().name);
    }
    sights.push_back(std::move(sight));
  }
  return sights;
}

}  // namespace k4t::operation
