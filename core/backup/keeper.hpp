#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backup/copy_file.hpp"
#include "backup/place.hpp"
#include "store/store.hpp"

namespace k4t::backup {

/// What the master remembers of one place: the last copy there that was read back whole.
struct LastCopy {
  std::string name;    ///< its file
  std::string digest;  ///< of the metadata in it
  std::uint64_t version = 0;
  std::int64_t made_at_s = 0;
  std::string files{};  ///< digest of what went along
  friend bool operator==(const LastCopy&, const LastCopy&) = default;
};
K4T_JSON_DECLARE(LastCopy)

/// Where one place stands.
struct PlaceStanding {
  std::string place;
  bool elsewhere = false;        ///< on another machine
  bool current = false;          ///< its last copy has all that the metadata has now
  bool sent = false;             ///< just now
  std::optional<LastCopy> last;  ///< absent: none is known
  std::optional<Error> why;      ///< what went wrong just now
};

/// Whether the metadata as it is now is on another machine.
bool is_kept_elsewhere(const std::vector<PlaceStanding>& standings);

/// The cluster's key as its configuration says; nullptr inside: copies are not encrypted.
Result<std::optional<Key>> open_key(const model::BackupKey& settings);

/// Makes copies of one store's metadata and brings them to where they are kept.
class Keeper {
 public:
  /// Everything outlives this. `files`: what goes along, by name. `cancelled`: the user asked to stop. Of a store that
  /// is open for reading what was sent is not remembered.
  Keeper(store::Store& store, const model::Cluster& cluster, std::map<std::string, std::string> files,
         const std::atomic<bool>& cancelled);

  /// What is remembered; asks nobody.
  Result<std::vector<PlaceStanding>> standings();
  /// After a change: brings what is not kept elsewhere yet to the places whose turn it is, those with the shortest
  /// interval among them; to the others where none of these takes it. Also to those whose interval has passed. Nothing
  /// is sent where a place is current. A place that does not answer is waited for only while no other has the copy.
  Result<std::vector<PlaceStanding>> settle(store::Seconds now_s);
  /// Brings it to all of them, or to these.
  Result<std::vector<PlaceStanding>> send(store::Seconds now_s, const std::vector<std::string>& places = {});

 private:
  struct Made {
    CopyName name;
    LastCopy last;
    std::string file;
  };
  Result<std::string> look(std::vector<PlaceStanding>& standings);
  Result<Made> make(const std::string& metadata, store::Seconds now_s);
  Result<void> deliver(const Made& made, const std::vector<std::size_t>& places, std::vector<PlaceStanding>& standings,
                       store::Seconds now_s, bool patient);

  store::Store& store_;
  const model::Cluster& cluster_;
  const std::map<std::string, std::string> files_;
  const std::string files_digest_;
  const std::atomic<bool>& cancelled_;
  std::vector<std::unique_ptr<Place>> places_;
};

}  // namespace k4t::backup
