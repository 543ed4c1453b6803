#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
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
  /// For a call in turn. Never no time, which would mean all the time there is.
  [[nodiscard]] CallOptions options() const { return {std::max(left(), std::chrono::milliseconds(1)), sink_}; }
  /// DEADLINE where no time is left for a next step.
  [[nodiscard]] Result<void> check(const std::string& place) const;

 private:
  std::chrono::steady_clock::time_point until_;
  CallSink* sink_;
};

/// The rules of a witness, whatever holds its register. Every change is read, decide, compare-and-swap; whoever swapped
/// in between makes it decide again. What this object saw last stands in for the reading, because the swap compares it:
/// the second change of a run is one step where the register is. An answer that changes nothing is given from what was
/// read for it. A register that is not this witness's, or that no run can have written, is FATAL and stays as it is.
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

  RegisterWitness(std::string cluster, std::string id);

  [[nodiscard]] const std::string& id() const { return id_; }

 private:
  /// What a verb makes of the register that it finds.
  struct Decision {
    bool granted = false;
    bool writes = false;
    model::WitnessRegister now;             ///< the register afterwards
    const model::Record* record = nullptr;  ///< to be durable before the register that names it
  };
  using Decide = std::function<Result<Decision>(const std::optional<Held>&)>;

  /// The register as it was seen last; never that there is none.
  class Memory;

  /// Absent: there is no register, and that is known.
  virtual Result<std::optional<std::string>> read(const Patience& patience) = 0;
  /// FATAL: it is no register's text.
  [[nodiscard]] virtual Result<model::WitnessRegister> understand(const std::string& text) const = 0;
  /// Replaces the register if it is exactly `held` (absent: there is none); its text afterwards. CONFLICT: it is not,
  /// and nothing changed; the error's detail, where not empty, is the present text. A `record`, where the witness holds
  /// records, is durable before the register that names it; after a CONFLICT it may be asked for again.
  virtual Result<std::string> swap(const std::optional<Held>& held, const model::WitnessRegister& next,
                                   const model::Record* record, const Patience& patience) = 0;
  /// Where the register is, for messages.
  [[nodiscard]] virtual std::string place() const = 0;
  /// A holder's text as the register has room for it.
  [[nodiscard]] virtual std::string kept(const std::string& holder) const { return holder; }
  /// This call has closed the claim of `now`: what is not needed any more may go.
  virtual void closed(const model::WitnessRegister& /*now*/, const Patience& /*patience*/) {}

  [[nodiscard]] Result<Held> check(std::string text) const;
  Result<std::optional<Held>> look(const Patience& patience);
  /// Decides until the decision stands.
  Result<Decision> change(const Decide& decide, const Patience& patience);
  [[nodiscard]] Error blank() const;

  std::string cluster_;
  std::string id_;
  std::shared_ptr<Memory> memory_;
};

}  // namespace k4t::drivers
