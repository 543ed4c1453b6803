#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "k4t/json.hpp"

/// What all witnesses of a cluster hold, read from their folders and never asked of k4t.

namespace k4t::testing {

class Registers {
 public:
  /// Reads every register and record below these folders. Files that a kill left half made are no registers.
  explicit Registers(const std::vector<std::filesystem::path>& folders);

  /// The newest version for which a majority of each set that decides it has voted, then or for a later one; 0: none.
  [[nodiscard]] int decided() const;
  [[nodiscard]] bool is_decided(const std::string& txn) const;
  /// The witnesses that decide what comes after it, by id.
  [[nodiscard]] std::set<std::string> deciding() const;
  /// Ids of all registers that are there.
  [[nodiscard]] std::set<std::string> ids() const;

 private:
  struct Vote {
    std::string id;
    int version = 0;
    std::string txn;
  };
  struct Record {
    int version = 0;
    std::string txn;
    Json state;
  };
  void add_record(const Json& json);
  void add_register(const Json& json);
  [[nodiscard]] bool is_decided(const Record& record) const;
  [[nodiscard]] bool majority(const Json& set, const Record& record) const;
  [[nodiscard]] const Record* newest() const;

  std::set<std::string> ids_;
  std::vector<Vote> votes_;
  std::vector<Record> records_;
};

}  // namespace k4t::testing
