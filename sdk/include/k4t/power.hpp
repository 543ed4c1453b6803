#pragma once

#include <string>
#include <vector>

#include "k4t/plugin.hpp"

/// Power: a cloud's or a board's API that starts and stops machines.

namespace k4t::power {

enum class Power { unknown, off, starting, on, stopping };
K4T_SDK_JSON_ENUM(Power, {Power::unknown, "unknown"}, {Power::off, "off"}, {Power::starting, "starting"},
                  {Power::on, "on"}, {Power::stopping, "stopping"})

struct Machine {
  std::string id;    ///< the provider's
  std::string name;  ///< for people
  Power power = Power::unknown;
  friend bool operator==(const Machine&, const Machine&) = default;
};
K4T_SDK_JSON(Machine, id, name, power)

struct ListReply {
  std::vector<Machine> machines;
};
K4T_SDK_JSON(ListReply, machines)

struct MachineRequest {
  std::string id;
};
K4T_SDK_JSON(MachineRequest, id)

namespace method {
struct List {
  static constexpr const char* name = "list";
  using Request = Nothing;
  using Reply = ListReply;
};
struct Status {
  static constexpr const char* name = "status";
  using Request = MachineRequest;
  using Reply = Machine;
};
struct Start {
  static constexpr const char* name = "start";
  using Request = MachineRequest;
  using Reply = Machine;
};
struct Stop {
  static constexpr const char* name = "stop";
  using Request = MachineRequest;
  using Reply = Machine;
};
}  // namespace method

/// What an author implements. Start and stop ask for the change and return at once with the state then; they are
/// idempotent. Stop asks the machine's operating system to shut down, it does not cut the power.
class Driver {
 public:
  virtual ~Driver() = default;
  virtual Result<ListReply> list(Call& call) = 0;
  virtual Result<Machine> status(const MachineRequest& request, Call& call) = 0;
  virtual Result<Machine> start(const MachineRequest& request, Call& call) = 0;
  virtual Result<Machine> stop(const MachineRequest& request, Call& call) = 0;
};

struct Kind {
  static constexpr const char* name = "power";
  static constexpr const char* api = "power.v1";
  using Driver = power::Driver;

  static Result<Json> dispatch(Driver& driver, std::string_view method, std::string_view request, Call& call);
};
#if K4T_SDK_BODIES
K4T_SDK_INLINE Result<Json> Kind::dispatch(Driver& driver, std::string_view method, std::string_view request,
                                           Call& call) {
  return Dispatch(method, request)
      .on<method::List>([&](const auto&) { return driver.list(call); })
      .on<method::Status>([&](const auto& in) { return driver.status(in, call); })
      .on<method::Start>([&](const auto& in) { return driver.start(in, call); })
      .on<method::Stop>([&](const auto& in) { return driver.stop(in, call); })
      .outcome();
}
#endif

}  // namespace k4t::power
