#include "zone.hpp"

#include <utility>

namespace k4t::dnsparticipant {
namespace {

namespace du = k4t::dnsupdate;

/// The zone that a negative answer comes from, by its SOA (RFC 2308 §3).
std::optional<std::string> denying_zone(const du::Answer& answer) {
  for (const auto& record : answer.authority) {
    if (record.type == du::type::soa) return record.name;
  }
  return std::nullopt;
}

std::optional<std::string> referred_zone(const du::Answer& answer) {
  if (answer.authoritative || !answer.records.empty()) return std::nullopt;
  for (const auto& record : answer.authority) {
    if (record.type == du::type::ns) return record.name;
  }
  return std::nullopt;
}

std::string quoted(const std::optional<std::string>& text) { return text ? "'" + *text + "'" : "absent"; }

std::string txt_rdata(const std::string& text) { return std::string(1, static_cast<char>(text.size())) + text; }

}  // namespace

du::Prerequisite text_is(const std::string& name, const std::optional<std::string>& text) {
  using Kind = du::Prerequisite::Kind;
  if (!text) return {Kind::rrset_absent, name, du::type::txt, {}};
  return {Kind::rrset_equals, name, du::type::txt, {txt_rdata(*text)}};
}

std::vector<du::Change> text_becomes(const std::string& name, const std::optional<std::string>& text) {
  std::vector<du::Change> changes{{du::Change::Kind::delete_rrset, name, du::type::txt, 0, {}}};
  if (text) changes.push_back({du::Change::Kind::add, name, du::type::txt, 0, txt_rdata(*text)});
  return changes;
}

Zone::Zone(std::string zone, std::string suffix, Reading reading, du::Client client)
    : zone_(std::move(zone)), suffix_(std::move(suffix)), reading_(reading), client_(std::move(client)) {}

Error Zone::elsewhere(const std::string& why) const {
  return Error{Status::invalid_argument,
               "DNS server " + where() + ": " + why + "; check the options zone and port, and the cluster's domain",
               {}};
}

/// The TXT records at a name of ours, or the certain knowledge that there are none.
Result<du::Answer> Zone::ask_ours(const std::string& name, const du::Limits& limits) {
  K4T_ASSIGN(auto answer, client_.query({name, du::type::txt}, limits));
  if (const auto referral = referred_zone(answer)) return elsewhere(name + " is delegated at " + *referral);
  if (!answer.authoritative) return elsewhere("it is not authoritative for " + name);
  if (!answer.records.empty()) return answer;
  const auto denying = denying_zone(answer);
  if (!denying) {
    return Error{
        Status::unavailable, "DNS server " + where() + " denied " + name + " without saying for which zone", {}};
  }
  if (*denying != zone_) return elsewhere(name + " is within its zone " + *denying + ", not " + zone_);
  return answer;
}

Result<std::optional<std::string>> Zone::read_text(const std::string& name, const du::Limits& limits) {
  K4T_ASSIGN(const auto answer, ask_ours(name, limits));
  if (answer.records.empty()) return std::optional<std::string>();
  const auto& first = answer.records.front();
  const auto text = du::single_text(first.rdata);
  if (answer.records.size() == 1 && first.name == name && first.type == du::type::txt && text) return text;
  return elsewhere(name + " does not have exactly one TXT string, as k4t writes it");
}

Result<std::set<Key>> Zone::read_index(const du::Limits& limits) {
  std::set<Key> keys;
  for (const auto& name : index_names(suffix_)) {
    K4T_ASSIGN(const auto answer, ask_ours(name, limits));
    for (const auto& record : answer.records) {
      const auto text = record.type == du::type::txt ? du::single_text(record.rdata) : std::nullopt;
      const auto key = text ? parse_index(*text, suffix_) : std::nullopt;
      if (!key) return elsewhere("the index at " + name + " holds something that k4t has not written; delete it");
      keys.insert(*key);
    }
  }
  return keys;
}

Result<Present> Zone::transfer(const du::Limits& limits) {
  std::vector<du::Record> records;
  // A shared zone may be far larger than our part; borders are drawn by NS, SOA, DNAME and registers alone.
  const auto keep = [&](du::Record record) {
    const bool border = record.type == du::type::ns || record.type == du::type::soa || record.type == du::type::dname;
    if (border || at_or_below(record.name, suffix_)) records.push_back(std::move(record));
  };
  K4T_TRY(client_.transfer(zone_, keep, limits));
  return sort_out(records, zone_, suffix_);
}

Result<void> Zone::note_answer(Present& present, const Key& key, const du::Answer& answer) const {
  if (const auto referral = referred_zone(answer)) {
    present.foreign_roots.insert(*referral);
    return {};
  }
  if (!answer.authoritative) {
    return Error{Status::unavailable, "DNS server " + where() + " is not authoritative for " + key.first, {}};
  }
  if (const auto denying = answer.records.empty() ? denying_zone(answer) : std::nullopt; denying && *denying != zone_) {
    present.foreign_roots.insert(*denying);
  }
  for (const auto& record : answer.records) {
    if (record.name != key.first) continue;
    auto& data = present.ours[Key{record.name, record.type}];
    data.ttl_s = record.ttl_s;
    data.rdatas.insert(record.rdata);
  }
  return {};
}

Result<void> Zone::look_up_into(Present& present, const std::set<Key>& keys, const du::Limits& limits) {
  std::vector<du::Question> questions;
  for (const auto& [name, type] : keys) questions.push_back({name, type});
  K4T_ASSIGN(const auto answers, client_.query(questions, limits));
  auto answer = answers.begin();
  for (const auto& key : keys) K4T_TRY(note_answer(present, key, *answer++));
  return {};
}

Result<void> Zone::note_server_names(Present& present, const du::Limits& limits) {
  const std::vector<du::Question> questions{
      {zone_, du::type::ns}, {zone_, du::type::soa}, {suffix_, du::type::ns}, {suffix_, du::type::soa}};
  K4T_ASSIGN(const auto answers, client_.query(questions, limits));
  for (const auto& answer : answers) {
    for (const auto& record : answer.records) {
      if (const auto target = du::target_name(record.type, record.rdata)) present.server_names.insert(*target);
    }
  }
  return {};
}

Result<Present> Zone::look_up(const std::set<Key>& keys, const du::Limits& limits) {
  Present present;
  K4T_TRY(note_server_names(present, limits));
  K4T_TRY(look_up_into(present, keys, limits));
  return present;
}

Result<Present> Zone::whole(const std::set<Key>& keys, const du::Limits& limits) {
  if (reading_ == Reading::transfer) return transfer(limits);
  K4T_ASSIGN(auto all, read_index(limits));
  all.insert(keys.begin(), keys.end());
  return look_up(all, limits);
}

Result<Present> Zone::read(const std::set<Key>& keys, const du::Limits& limits) {
  auto present = whole(keys, limits);
  if (present || present.status() != Status::unsupported) return present;
  return look_up(keys, limits);
}

Result<Records> Zone::answered(const std::set<Key>& keys, const du::Limits& limits) {
  Present present;
  K4T_TRY(look_up_into(present, keys, limits));
  return std::move(present.ours);
}

Result<void> Zone::update(du::Update update, const du::Limits& limits) {
  update.zone = zone_;
  return client_.update(update, limits);
}

Result<Zone::Written> Zone::swap_text(du::Update update, const std::string& name,
                                      const std::optional<std::string>& before, const std::optional<std::string>& after,
                                      const du::Limits& limits) {
  update.zone = zone_;
  update.prerequisites.insert(update.prerequisites.begin(), text_is(name, before));
  for (auto& change : text_becomes(name, after)) update.changes.push_back(std::move(change));
  const auto outcome = client_.update(update, limits);
  if (outcome) return Written::done;
  if (outcome.status() != Status::conflict && outcome.status() != Status::unavailable) return outcome.error();
  const auto now = read_text(name, limits);
  if (!now) return outcome.error();
  if (*now == after && after != before) return Written::done;
  if (*now != before) {
    return Error{Status::conflict, "somebody else has changed " + name + " on DNS server " + where(),
                 "expected " + quoted(before) + ", found " + quoted(*now)};
  }
  if (outcome.status() == Status::conflict) return Written::blocked;
  return outcome.error();
}

}  // namespace k4t::dnsparticipant
