#include "crash/registers.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "support/process.hpp"

namespace k4t::testing {

namespace fs = std::filesystem;

namespace {

/// A register holds the record of its last vote in a second line, and a file that was one may be a record's.
std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
  if (lines.empty()) throw std::runtime_error("an empty register or record");
  return lines;
}

}  // namespace

Registers::Registers(const std::vector<fs::path>& folders) {
  for (const auto& folder : folders) {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder, none)) {
      const std::string name = entry.path().filename();
      if (!name.ends_with(".json")) continue;
      const auto lines = lines_of(Scratch::read(entry.path()));
      if (name.starts_with("k4t-record-")) {
        add_record(lines.back());
      } else if (name.starts_with("k4t-witness-")) {
        add_register(lines.front());
        if (lines.size() > 1) add_record(lines.back());
      }
    }
  }
}

void Registers::add_record(const Json& json) {
  records_.push_back({json.at("version"), json.at("txn"), Json::parse(json.at("state_text").get<std::string>())});
}

void Registers::add_register(const Json& json) {
  ids_.insert(json.at("id").get<std::string>());
  const bool voted = json.contains("vote") && json["vote"].is_object();
  if (voted) votes_.push_back({json["id"], json["vote"]["version"], json["vote"]["txn"]});
}

bool Registers::majority(const Json& set, const Record& record) const {
  const auto votes = std::count_if(set.begin(), set.end(), [&](const Json& witness) {
    return std::any_of(votes_.begin(), votes_.end(), [&](const Vote& vote) {
      return vote.id == witness.at("id") && (vote.txn == record.txn || vote.version > record.version);
    });
  });
  return 2 * static_cast<std::size_t>(votes) > set.size();
}

bool Registers::is_decided(const Record& record) const {
  const bool changes = record.state.contains("former_witnesses") && record.state["former_witnesses"].is_array();
  return majority(record.state.at("witnesses"), record) &&
         (!changes || majority(record.state["former_witnesses"], record));
}

bool Registers::is_decided(const std::string& txn) const {
  return std::any_of(records_.begin(), records_.end(),
                     [&](const Record& record) { return record.txn == txn && is_decided(record); });
}

const Registers::Record* Registers::newest() const {
  const Record* newest = nullptr;
  for (const auto& record : records_) {
    if (is_decided(record) && (newest == nullptr || newest->version < record.version)) newest = &record;
  }
  return newest;
}

int Registers::decided() const { return newest() == nullptr ? 0 : newest()->version; }

std::set<std::string> Registers::deciding() const {
  std::set<std::string> ids;
  if (newest() == nullptr) return ids;
  for (const auto& witness : newest()->state.at("witnesses")) ids.insert(witness.at("id").get<std::string>());
  return ids;
}

std::set<std::string> Registers::ids() const { return ids_; }

}  // namespace k4t::testing
