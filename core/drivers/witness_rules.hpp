#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "k4t/transport.hpp"
#include "txn/ports.hpp"

namespace k4t::drivers {

/// What one call may still take; told anew for each step of it.
class Patience {
 public:
  explicit Patience(const CallOptions& options)
      : until_(std::chrono::steady_clock::now() + options.timeout), sink_(options.sink) {}

  /// Nothing below zero.
  [[nodiscard]] std::chrono::milliseconds left() const;
  [[nodiscard]] transport::Limits limits() const;
  [[nodiscard]] CallOptions options() const { return {left(), sink_}; }
  /// DEADLINE where no time is left for a next step.
  [[nodiscard]] Result<void> check(const std::string& place) const;

 private:
  std::chrono::steady_clock::time_point until_;
  CallSink* sink_;
};

/// The rules of a witness, whatever holds its register. Every change of it is read, decide, compare-and-swap; whoever
/// swapped in between makes it decide again. A register that is not this witness's, or that no run can have written, is
/// FATAL and stays as it is.
class RegisterWitness : public txn::WitnessPort {
 public:
  Result<txn::WitnessAnswer> claim(const txn::ClaimRequest& request, const CallOptions& options) final;
  Result<txn::WitnessAnswer> vote(const model::Epoch& epoch, const model::Record& record,
                                  const CallOptions& options) final;
  Result<std::optional<model::WitnessRegister>> peek(const CallOptions& options) final;
  Result<void> close(const model::Epoch& epoch, const CallOptions& options) final;

 protected:
  /// The register as it is held, and what it says.
  struct Held {
    std::string text;
    model::WitnessRegister now;
  };

  RegisterWitness(std::string cluster, std::string id) : cluster_(std::move(cluster)), id_(std::move(id)) {}

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const std::string& cluster() const { return cluster_; }

 private:
  /// Absent: there is no register, and that is known. FATAL: it cannot be understood.
  virtual Result<std::optional<Held>> read(const Patience& patience) = 0;
  /// Replaces the register if it is exactly `held` (absent: there is none), else CONFLICT. A `record`, where the
  /// witness holds records, is durable before the register that names it; after a CONFLICT it may be asked for again.
  virtual Result<void> swap(const std::optional<Held>& held, const model::WitnessRegister& next,
                            const model::Record* record, const Patience& patience) = 0;
  /// Where the register is, for messages.
  [[nodiscard]] virtual std::string place() const = 0;
  /// This call has closed the claim of `now`: what is not needed any more may go.
  virtual void closed(const model::WitnessRegister& now, const Patience& patience) = 0;

  Result<std::optional<Held>> read_own(const Patience& patience);
  [[nodiscard]] Error blank() const;
  [[nodiscard]] Error out_of_attempts() const;

  std::string cluster_;
  std::string id_;
};

}  // namespace k4t::drivers
