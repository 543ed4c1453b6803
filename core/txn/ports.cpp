#include "txn/ports.hpp"

#include <sstream>

namespace k4t::txn {

K4T_JSON_DEFINE(Participant, group, name)
K4T_JSON_ENUM_DEFINE(Group)

std::string to_string(const Participant& participant) {
  return std::string(to_string(participant.group)) + " " + participant.name;
}

Result<EntryPtr> read_record(const model::Record& record) {
  if (!model::is_authentic(record)) {
    return Error{Status::fatal,
                 "the record of version " + std::to_string(record.version) +
                     " is damaged: its content does not have the name " + record.txn,
                 {}};
  }
  const Json json = Json::parse(record.state_text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return Error{Status::fatal, "the record of version " + std::to_string(record.version) + " is not JSON", {}};
  }
  auto state = decode<model::State>(json);
  if (!state) {
    return Error{Status::fatal, "the record of version " + std::to_string(record.version) + " cannot be understood",
                 state.error().message};
  }
  return EntryPtr(std::make_shared<const Entry>(Entry{record, *std::move(state)}));
}

Register register_of(const std::string& cluster, const Entry& entry, const std::string& writer) {
  return Register{cluster, entry.record.version, entry.record.txn, writer};
}

std::string holder_host(const std::string& holder) { return holder.substr(0, holder.find(' ')); }

std::string describe_holder(const std::string& holder) {
  std::istringstream words(holder);
  std::string host;
  std::string user;
  std::string time;
  std::string command;
  words >> host >> user >> time;
  std::getline(words >> std::ws, command);
  if (user.empty()) return holder;
  std::string text = user + " on " + host;
  if (time.empty()) return text;
  return text + " (" + time + (command.empty() ? "" : ", " + command) + ")";
}

}  // namespace k4t::txn
