#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "k4t/transport.hpp"
#include "txn/ports.hpp"

namespace k4t::drivers {

/// A witness that is a file in a folder of some machine. PATH/k4t-witness-ID.json holds the register, one line of JSON,
/// and below it, from a vote until the next change, the record that was voted for: one rename brings both, so that no
/// moment of a crash and no order in which a disk keeps things can leave a vote without its record. The next change
/// leaves the record behind as PATH/k4t-record-TXN.json, a second name of the file that it is about to replace, durable
/// before it is replaced. So a vote waits for the disk twice (the new file, its name), and once more (the name that is
/// kept) where the present register still holds another record; a claim's file is small.
///
/// Every change is read, decide, compare-and-swap; whoever swapped in between makes it decide again. What this object
/// saw last stands in for the reading, because the swap compares it: the second change of a run is one step on the
/// host, which over SSH is one round trip. An answer that changes nothing is given from what was read for it. A
/// register that cannot be understood is FATAL and stays as it is; only a file that is known to be absent is BLANK.
///
/// Every call keeps its deadline, as far as the host's file operations do. A run that dies at any moment leaves the
/// register as it was or as it was to be; a record that no vote names is deleted by a later run's close.
///
/// Thread-safe as far as the host is; masters on several machines exclude each other by the swap.
class FileWitness : public txn::WitnessPort {
 public:
  FileWitness(std::shared_ptr<transport::Host> host, std::string cluster, model::Witness where);

  Result<txn::WitnessAnswer> claim(const txn::ClaimRequest& request, const CallOptions& options) override;
  Result<txn::WitnessAnswer> vote(const model::Epoch& epoch, const model::Record& record,
                                  const CallOptions& options) override;
  Result<std::optional<model::WitnessRegister>> peek(const CallOptions& options) override;
  Result<model::Record> fetch(const std::string& txn, const CallOptions& options) override;
  /// Also deletes the records that nobody can ask for any more: those older than the base of this witness's vote that
  /// no register in the folder names, and what dead runs left half written.
  Result<void> close(const model::Epoch& epoch, const CallOptions& options) override;

 private:
  /// The register as it is on disk, and what it says.
  struct Held {
    std::string text;
    model::WitnessRegister now;
    bool has_record = false;  ///< the vote's record is in the text
  };

  /// What a verb makes of the register that it finds.
  struct Decision {
    bool granted = false;
    bool writes = false;
    model::WitnessRegister now;             ///< the register afterwards
    const model::Record* record = nullptr;  ///< to be written with it
  };
  using Decide = std::function<Result<Decision>(const std::optional<Held>&)>;

  /// The register as it was seen last; never that there is none.
  class Memory {
   public:
    [[nodiscard]] std::optional<Held> get() const {
      const std::lock_guard lock(mutex_);
      return last_;
    }
    void set(Held held) {
      const std::lock_guard lock(mutex_);
      last_ = std::move(held);
    }

   private:
    mutable std::mutex mutex_;
    std::optional<Held> last_;
  };

  [[nodiscard]] Result<void> check_place() const;
  [[nodiscard]] std::string register_path() const;
  [[nodiscard]] std::string record_path(const std::string& txn) const;
  [[nodiscard]] Result<Held> understand(std::string text) const;
  /// What one call may still take; told anew for each step of it.
  class Patience;

  Result<std::optional<Held>> read(const Patience& patience);
  Result<void> swap(const std::optional<Held>& held, const Decision& decision, const Patience& patience);
  /// Decides until the decision stands.
  Result<txn::WitnessAnswer> change(const Decide& decide, const Patience& patience);
  /// A record under its own name.
  Result<model::Record> fetch_kept(const std::string& txn, const Patience& patience);
  void prune(const model::Vote& vote, const Patience& patience);

  std::shared_ptr<transport::Host> host_;
  std::string cluster_;
  model::Witness where_;
  std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
};

}  // namespace k4t::drivers
