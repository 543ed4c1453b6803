#include <algorithm>
#include <string>
#include <utility>

#include "suite.hpp"

namespace k4t::conformance {
namespace {

using namespace runtime;  // NOLINT(google-build-using-namespace): one file about one kind

class OutputSink final : public CallSink {
 public:
  bool stream(Channel /*channel*/, std::string_view bytes) override {
    text += bytes;
    return true;
  }
  std::string text;
};

class RuntimeSuite {
 public:
  explicit RuntimeSuite(const RuntimeSubject& subject) : subject_(subject), suite_("runtime", subject) {}

  Findings run() {
    node();
    images();
    absent();
    life();
    text();
    foreign();
    suite_.check_edge(method::List::name, Json(ListRequest{subject_.cluster}), method::Inspect::name,
                      Json{{"name", 7}});
    suite_.check("nothing_is_left_behind", [&]() -> Expectation {
      K4T_ASSIGN(const auto left, list());
      return expect(left.instances.empty(), "the cluster's list is empty after all was removed");
    });
    return suite_.take();
  }

 private:
  template <class M>
  Result<typename M::Reply> call(const typename M::Request& request) {
    return invoke<M>(suite_.driver(), request, suite_.options());
  }
  Result<ListReply> list() { return call<method::List>({subject_.cluster}); }
  Result<Instance> inspect(const std::string& name) { return call<method::Inspect>({name}); }

  [[nodiscard]] InstanceSpec spec(const std::string& instance) const {
    InstanceSpec made = subject_.instance;
    made.name = subject_.cluster + "-suite-" + instance;
    made.labels[label::cluster] = subject_.cluster;
    made.labels[label::service] = "suite";
    made.labels[label::revision] = "1";
    made.labels[label::instance] = instance;
    made.labels[label::declaration] = R"k4t({"text":"quotes \" and $(echo ü)"})k4t";
    return made;
  }

  /// Runs `body` with an instance that was created for it, and removes that in any case.
  template <class Body>
  Expectation with_instance(const std::string& id, Body&& body) {
    const InstanceSpec made = spec(id);
    K4T_TRY(expect_ok(call<method::Create>(made), "create"));
    const Expectation outcome = std::forward<Body>(body)(made);
    const auto removed = call<method::Remove>({made.name});
    return outcome ? expect_ok(removed, "remove") : outcome;
  }

  Expectation phase_is(const std::string& name, Phase wanted) {
    K4T_ASSIGN(const Instance now, inspect(name));
    return expect(now.phase == wanted, name + " is " + std::string(to_string(wanted)) + "; it is " +
                                           std::string(to_string(now.phase)) + " " + now.detail);
  }

  void node() {
    suite_.check("info_tells_the_size_of_the_node", [&]() -> Expectation {
      K4T_ASSIGN(const NodeInfo info, call<method::Info>({}));
      return expect(info.cpus > 0 && info.memory_bytes > 0 && !info.architecture.empty(),
                    "cores, memory and architecture are known");
    });
    suite_.check("usage_tells_nothing_impossible", [&]() -> Expectation {
      K4T_ASSIGN(const NodeInfo info, call<method::Info>({}));
      K4T_ASSIGN(const NodeUsage usage, call<method::Usage>({}));
      K4T_TRY(expect(usage.load.value_or(0) >= 0, "the load is no negative number"));
      K4T_TRY(expect(usage.memory_used_bytes.value_or(0) <= info.memory_bytes, "no more memory is used than is there"));
      K4T_TRY(expect(usage.disk_bytes.has_value() == usage.disk_used_bytes.has_value(), "both sizes or none"));
      return expect(usage.disk_used_bytes.value_or(0) <= usage.disk_bytes.value_or(0),
                    "no more of the disk is used than is there");
    });
    suite_.check_if(suite_.has_capability(capability::images), "capability images", "image_is_ensured_twice",
                    [&]() -> Expectation {
                      const ImageRequest request{subject_.instance.image, false};
                      K4T_ASSIGN(const auto first, call<method::EnsureImage>(request));
                      K4T_ASSIGN(const auto second, call<method::EnsureImage>(request));
                      return expect(!first.id.empty() && first.id == second.id, "the image keeps its identifier");
                    });
  }

  void images() {
    const bool transfers = suite_.has_capability(capability::images_transfer);
    suite_.check_if(transfers, "capability images.transfer", "image_is_listed_with_its_layers", [&]() -> Expectation {
      K4T_ASSIGN(const auto wanted, call<method::EnsureImage>({subject_.instance.image, false}));
      K4T_ASSIGN(const auto all, call<method::ListImages>({true}));
      const auto found =
          std::find_if(all.images.begin(), all.images.end(), [&](const Image& one) { return one.id == wanted.id; });
      K4T_TRY(expect(found != all.images.end(), "the image is listed under its identifier"));
      return expect(!found->layers.empty() && found->layers.front().starts_with("sha256:"), "its layers are told");
    });
    suite_.check_if(
        transfers, "capability images.transfer", "image_is_saved_and_an_absent_one_is_not_found", [&]() -> Expectation {
          OutputSink archive;
          K4T_TRY(expect_ok(
              invoke<method::SaveImages>(suite_.driver(), {{subject_.instance.image}}, {subject_.timeout, &archive}),
              "save"));
          K4T_TRY(expect(archive.text.size() > 1024, "an archive is streamed"));
          return expect_status(call<method::SaveImages>({{"k4t-suite/absent:1"}}), Status::not_found,
                               "save of an absent image");
        });
  }

  void absent() {
    const std::string name = subject_.cluster + "-suite-absent";
    suite_.check("list_of_a_cluster_without_instances_is_empty", [&]() -> Expectation {
      K4T_ASSIGN(const auto found, list());
      return expect(found.instances.empty(), "no instances before any was created");
    });
    suite_.check("absent_instance_is_not_found", [&]() -> Expectation {
      K4T_TRY(expect_status(inspect(name), Status::not_found, "inspect of an absent instance"));
      K4T_TRY(expect_status(call<method::Start>({name}), Status::not_found, "start of an absent instance"));
      return expect_status(call<method::Logs>({name, false, 0, false}), Status::not_found,
                           "logs of an absent instance");
    });
    suite_.check("removing_the_absent_is_ok",
                 [&] { return expect_ok(call<method::Remove>({name}), "remove of an absent instance"); });
  }

  void life() {
    suite_.check("create_is_idempotent", [&] {
      return with_instance("created", [&](const InstanceSpec& made) -> Expectation {
        K4T_TRY(phase_is(made.name, Phase::created));
        K4T_ASSIGN(const Instance first, inspect(made.name));
        for (int i = 0; i < 10; ++i) {
          K4T_ASSIGN(const Instance again, call<method::Create>(made));
          K4T_TRY(expect(again.id == first.id, "creating what exists returns it"));
        }
        return {};
      });
    });
    suite_.check("create_with_other_labels_is_conflict", [&] {
      return with_instance("labels", [&](InstanceSpec made) -> Expectation {
        K4T_ASSIGN(const Instance before, inspect(made.name));
        made.labels[label::revision] = "2";
        K4T_TRY(expect_status(call<method::Create>(made), Status::conflict, "create under other labels"));
        K4T_ASSIGN(const Instance after, inspect(made.name));
        return expect(after.id == before.id && after.labels == before.labels, "a CONFLICT changes nothing");
      });
    });
    suite_.check("list_shows_labels_of_its_cluster_only",
                 [&] { return with_instance("listed", [&](const InstanceSpec& made) { return is_listed(made); }); });
    suite_.check("start_and_stop_are_idempotent", [&] {
      return with_instance("started", [&](const InstanceSpec& made) { return starts_and_stops(made); });
    });
    suite_.check("remove_stops_what_runs_and_is_idempotent", [&]() -> Expectation {
      const InstanceSpec made = spec("removed");
      K4T_TRY(expect_ok(call<method::Create>(made), "create"));
      K4T_TRY(expect_ok(call<method::Start>({made.name}), "start"));
      for (int i = 0; i < 2; ++i) K4T_TRY(expect_ok(call<method::Remove>({made.name}), "remove"));
      return expect_status(inspect(made.name), Status::not_found, "inspect of what was removed");
    });
  }

  Expectation is_listed(const InstanceSpec& made) {
    K4T_ASSIGN(const auto mine, list());
    K4T_TRY(expect(mine.instances.size() == 1 && mine.instances[0].name == made.name, "the list has the one instance"));
    for (const auto& [key, value] : made.labels) {
      const auto found = mine.instances[0].labels.find(key);
      K4T_TRY(expect(found != mine.instances[0].labels.end() && found->second == value,
                     "label " + key + " comes back unchanged"));
    }
    K4T_ASSIGN(const auto others, call<method::List>({subject_.cluster + "-other"}));
    return expect(others.instances.empty(), "another cluster's list does not have it");
  }

  Expectation starts_and_stops(const InstanceSpec& made) {
    for (int life = 0; life < 2; ++life) {
      for (int i = 0; i < 2; ++i) K4T_TRY(expect_ok(call<method::Start>({made.name}), "start"));
      K4T_TRY(phase_is(made.name, Phase::running));
      K4T_ASSIGN(const Instance running, inspect(made.name));
      K4T_TRY(expect(running.started_at_s > 0, "a running instance tells when it was started"));
      for (int i = 0; i < 2; ++i) K4T_TRY(expect_ok(call<method::Stop>({made.name}), "stop"));
      K4T_TRY(phase_is(made.name, Phase::exited));
    }
    return {};
  }

  void text() {
    suite_.check_if(!subject_.log_line.empty(), "a log_line", "logs_have_what_was_printed", [&] {
      return with_instance("logs", [&](const InstanceSpec& made) -> Expectation {
        K4T_TRY(expect_ok(call<method::Start>({made.name}), "start"));
        return logs_show(made.name);
      });
    });
    suite_.check_if(suite_.has_capability(capability::exec), "capability exec", "exec_runs_in_the_instance", [&] {
      return with_instance("exec", [&](const InstanceSpec& made) -> Expectation {
        K4T_TRY(expect_ok(call<method::Start>({made.name}), "start"));
        K4T_ASSIGN(const auto ran, call<method::Exec>({made.name, subject_.exec_command}));
        return expect(ran.exit_code == 0, "the command exits with 0; it did with " + std::to_string(ran.exit_code));
      });
    });
  }

  /// The instance's first line may take a moment to be written; following the log waits for it.
  Expectation logs_show(const std::string& name) {
    class Until final : public CallSink {
     public:
      explicit Until(const std::string& wanted) : wanted_(wanted) {}
      bool stream(Channel /*channel*/, std::string_view bytes) override {
        text_ += bytes;
        return !found();
      }
      [[nodiscard]] bool found() const { return text_.find(wanted_) != std::string::npos; }

     private:
      const std::string& wanted_;
      std::string text_;
    } sink(subject_.log_line);
    const CallOptions options{subject_.timeout, &sink};
    const auto followed = invoke<method::Logs>(suite_.driver(), {name, true, 0, false}, options);
    K4T_TRY(expect(sink.found(), "the log has '" + subject_.log_line + "' (" + told(followed) + ")"));
    OutputSink whole;
    const auto read = invoke<method::Logs>(suite_.driver(), {name, false, 0, false}, {subject_.timeout, &whole});
    K4T_TRY(expect_ok(read, "logs without following"));
    return expect(whole.text.find(subject_.log_line) != std::string::npos, "the log read to its end has it too");
  }

  void foreign() {
    suite_.check_if(!subject_.foreign_name.empty(), "a foreign_name", "what_is_foreign_is_neither_listed_nor_removed",
                    [&]() -> Expectation {
                      K4T_ASSIGN(const auto mine, list());
                      for (const Instance& instance : mine.instances) {
                        K4T_TRY(expect(instance.name != subject_.foreign_name, "a foreign instance is not listed"));
                      }
                      return expect_status(call<method::Remove>({subject_.foreign_name}), Status::conflict,
                                           "remove of an instance that is not k4t's");
                    });
  }

  const RuntimeSubject& subject_;
  Suite suite_;
};

}  // namespace

Findings check_runtime(const RuntimeSubject& subject) { return RuntimeSuite(subject).run(); }

Findings check_power(const PowerSubject& subject) {
  namespace method = power::method;
  Suite suite("power", subject);
  const power::MachineRequest machine{subject.machine};
  suite.check("list_names_the_machine", [&]() -> Expectation {
    K4T_ASSIGN(const auto all, invoke<method::List>(suite.driver(), {}, suite.options()));
    return expect(std::any_of(all.machines.begin(), all.machines.end(),
                              [&](const power::Machine& one) { return one.id == subject.machine; }),
                  "the machine is in the list");
  });
  suite.check("stop_and_start_are_idempotent", [&]() -> Expectation {
    for (int i = 0; i < 2; ++i) {
      K4T_TRY(expect_ok(invoke<method::Stop>(suite.driver(), machine, suite.options()), "stop"));
    }
    for (int i = 0; i < 2; ++i) {
      K4T_TRY(expect_ok(invoke<method::Start>(suite.driver(), machine, suite.options()), "start"));
    }
    return expect_ok(invoke<method::Status>(suite.driver(), machine, suite.options()), "status");
  });
  suite.check("unknown_machine_is_not_found", [&] {
    return expect_status(invoke<method::Status>(suite.driver(), {"no-such-machine"}, suite.options()),
                         Status::not_found, "status of an unknown machine");
  });
  suite.check_edge(method::List::name, Json::object(), method::Status::name, Json{{"id", 7}});
  return suite.take();
}

}  // namespace k4t::conformance
