#include "render.hpp"

#include <algorithm>
#include <unordered_set>

namespace k4t::dnsparticipant {
namespace {

namespace du = k4t::dnsupdate;

constexpr std::size_t value_limit = 100;  // BIND's max-records-per-type
constexpr std::size_t label_limit_bytes = 63;
constexpr std::size_t name_limit_bytes = 253;
constexpr std::uint32_t ttl_limit_s = 0x7fffffff;  // RFC 2181 §8
constexpr std::string_view reserved_prefix = "_k4t";

Error invalid(std::string message) { return Error{Status::invalid_argument, std::move(message), {}}; }

/// Hands each label of the part of `name` before `suffix` to `check`; false as soon as one fails.
template <class Check>
bool all_labels_below(std::string_view name, std::string_view suffix, Check check) {
  if (name.size() <= suffix.size()) return true;
  auto rest = name.substr(0, name.size() - suffix.size() - (suffix.empty() ? 0 : 1));
  for (;;) {
    const auto dot = rest.find('.');
    if (!check(rest.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    rest.remove_prefix(dot + 1);
  }
}

bool is_reserved(std::string_view name, std::string_view suffix) {
  return !all_labels_below(name, suffix, [](std::string_view label) { return !label.starts_with(reserved_prefix); });
}

bool is_plain_label(std::string_view label) {
  const auto plain = [](char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
  };
  return !label.empty() && label.size() <= label_limit_bytes && label.front() != '-' && label.back() != '-' &&
         std::ranges::all_of(label, plain);
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= name_limit_bytes && all_labels_below(name, "", is_plain_label);
}

std::uint16_t number_of_type(dns::Type type) {
  switch (type) {
    case dns::Type::a: return du::type::a;
    case dns::Type::aaaa: return du::type::aaaa;
    case dns::Type::srv: return du::type::srv;
    case dns::Type::txt: return du::type::txt;
  }
  return 0;
}

/// Why a record cannot be; nullptr: it can.
const char* fault_of(const dns::RecordSet& set, const std::string& suffix) {
  if (!is_plain_name(set.name)) {
    return " has a name that cannot be used: labels have 1 to 63 letters, digits, '_' and inner '-', in lower case, "
           "and "
           "names at most 253 characters";
  }
  if (is_reserved(set.name, suffix)) return " begins with _k4t, which k4t keeps for itself";
  if (set.values.empty()) return " has no values";
  if (set.ttl_s > ttl_limit_s) return " has a TTL above 2147483647 seconds";
  return nullptr;
}

Result<void> check_record_set(const dns::RecordSet& set, const std::string& suffix) {
  const auto wrong = [&set](const std::string& why) { return invalid("record '" + set.name + "'" + why); };
  if (!at_or_below(set.name, suffix)) return wrong(" is not at or below the suffix " + suffix);
  if (const char* why = fault_of(set, suffix)) return wrong(why);
  if (set.values.size() <= value_limit) return {};
  return wrong(" has " + std::to_string(set.values.size()) +
               " values; DNS servers accept at most 100 of one type at a name");
}

Result<RecordData> record_data(const dns::RecordSet& set) {
  RecordData data{set.ttl_s, {}};
  for (const auto& value : set.values) {
    auto rdata = du::make_rdata(number_of_type(set.type), value);
    if (!rdata) return rdata.error().within("record '" + set.name + "'");
    if (set.type == dns::Type::srv && !is_plain_name(*du::target_name(du::type::srv, *rdata))) {
      return invalid("record '" + set.name + "': the target of '" + value + "' is not a host name");
    }
    if (!data.rdatas.insert(*std::move(rdata)).second) {
      return invalid("record '" + set.name + "' has the value '" + value + "' twice");
    }
  }
  return data;
}

/// Types that belong to the zone and its signing, not to what is served.
bool is_infrastructure(std::uint16_t type) {
  constexpr std::uint16_t types[] = {du::type::soa, du::type::ns,   du::type::ds,  46 /*RRSIG*/,
                                     47 /*NSEC*/,   48 /*DNSKEY*/,  50 /*NSEC3*/,  51 /*NSEC3PARAM*/,
                                     59 /*CDS*/,    60 /*CDNSKEY*/, 63 /*ZONEMD*/, 65534 /*BIND's notes on signing*/};
  return std::ranges::find(types, type) != std::end(types);
}

bool is_address(std::uint16_t type) { return type == du::type::a || type == du::type::aaaa; }

std::string parent_of(std::string_view name) {
  const auto dot = name.find('.');
  return dot == std::string_view::npos ? std::string() : std::string(name.substr(dot + 1));
}

bool is_foreign(const Present& present, std::string_view name) {
  return std::ranges::any_of(present.foreign_roots, [&](const auto& root) { return at_or_below(name, root); });
}

/// Learns whose names are whose.
void note_borders(Present& present, const du::Record& record, const std::string& zone, const std::string& suffix) {
  const bool near = at_or_below(record.name, suffix) || at_or_below(suffix, record.name);
  const auto target = du::target_name(record.type, record.rdata);
  if (target && (record.type == du::type::ns || record.type == du::type::soa)) present.server_names.insert(*target);
  if (record.type == du::type::ns && record.name != zone && near) present.foreign_roots.insert(record.name);
  const bool above = record.name != suffix && at_or_below(suffix, record.name);
  if (record.type == du::type::dname && above) present.foreign_roots.insert(record.name);
  const bool is_register = record.type == du::type::txt && record.name.starts_with("_k4t.");
  const std::string owner = parent_of(record.name);
  if (is_register && owner != suffix && at_or_below(owner, suffix)) present.foreign_roots.insert(owner);
  if (is_register && owner == suffix) present.register_text = du::single_text(record.rdata);
}

std::optional<Key> dname_above(const Records& content, std::string_view name) {
  for (std::string at = parent_of(name); !at.empty(); at = parent_of(at)) {
    const Key key{at, du::type::dname};
    if (content.contains(key)) return key;
  }
  return std::nullopt;
}

Result<void> check_free(const Key& key, const Present& present) {
  const std::string why =
      " already exists and is not k4t's; delete it, rename the service, or give the cluster another domain";
  for (const Key& taken : {key, Key{key.first, du::type::cname}}) {
    if (present.ours.contains(taken)) return invalid("the record " + describe(taken) + why);
  }
  return {};
}

Step put_step(const Key& key, const RecordData& data, bool beside_cname, const DifferenceOptions& options) {
  Step step{key, {}, {}, data, {}};
  step.changes.reserve(data.rdatas.size() + 3);
  if (beside_cname) {
    step.changes.push_back({du::Change::Kind::delete_rrset, key.first, du::type::cname, 0, {}});
  } else {
    step.prerequisites.push_back({du::Prerequisite::Kind::rrset_absent, key.first, du::type::cname, {}});
  }
  if (options.exclusive) {
    step.prerequisites.push_back({du::Prerequisite::Kind::rrset_absent, key.first, key.second, {}});
  }
  step.changes.push_back({du::Change::Kind::delete_rrset, key.first, key.second, 0, {}});
  for (const auto& rdata : data.rdatas) {
    step.changes.push_back({du::Change::Kind::add, key.first, key.second, data.ttl_s, rdata});
  }
  // Always, not only for what is new: what is there may be somebody else's and not noted. Adding twice is once.
  if (!options.index_suffix.empty()) step.changes.push_back(note_in_index(key, options.index_suffix));
  return step;
}

Step removal_step(const Key& key, const RecordData& data, const DifferenceOptions& options) {
  Step step{key, {}, {{du::Change::Kind::delete_rrset, key.first, key.second, 0, {}}}, {}, data.rdatas};
  if (!options.index_suffix.empty()) step.changes.push_back(drop_from_index(key, options.index_suffix));
  return step;
}

std::size_t bytes_of(const Step& step) {
  std::size_t sum = 0;
  for (const auto& prerequisite : step.prerequisites) sum += du::wire_bytes(prerequisite);
  for (const auto& change : step.changes) sum += du::wire_bytes(change);
  return sum;
}

}  // namespace

std::string describe(const Key& key) { return key.first + " " + du::type_text(key.second); }

bool at_or_below(std::string_view name, std::string_view suffix) {
  if (suffix.empty() || name == suffix) return true;
  return name.size() > suffix.size() && name.ends_with(suffix) && name[name.size() - suffix.size() - 1] == '.';
}

Result<Records> render(const dns::State& state, const std::string& suffix) {
  if (state.suffix != suffix) return invalid("the state's suffix is " + state.suffix + ", this server's is " + suffix);
  Records content;
  for (const auto& set : state.records) {
    K4T_TRY(check_record_set(set, suffix));
    K4T_ASSIGN(auto data, record_data(set));
    // States are sorted by name: the place is the end, or nearly.
    const std::size_t before = content.size();
    const auto at = content.emplace_hint(content.end(), Key{set.name, number_of_type(set.type)}, std::move(data));
    if (content.size() == before) return invalid("the record " + describe(at->first) + " is given twice");
  }
  return content;
}

Present sort_out(const std::vector<du::Record>& records, const std::string& zone, const std::string& suffix) {
  Present present;
  present.complete = true;
  for (const auto& record : records) note_borders(present, record, zone, suffix);
  for (const auto& record : records) {
    const bool served_content = at_or_below(record.name, suffix) && !is_infrastructure(record.type) &&
                                !is_reserved(record.name, suffix) && !is_foreign(present, record.name);
    if (!served_content) continue;
    if (is_address(record.type) && present.server_names.contains(record.name)) continue;
    auto& data = present.ours[Key{record.name, record.type}];
    data.ttl_s = record.ttl_s;
    data.rdatas.insert(record.rdata);
  }
  return present;
}

Result<void> check_place(const Records& target, const Present& present, bool blank) {
  for (const auto& [key, data] : target) {
    if (is_foreign(present, key.first)) {
      return invalid("the record " + describe(key) +
                     " would not be served: the name is delegated to other servers or belongs to another cluster");
    }
    if (is_address(key.second) && present.server_names.contains(key.first)) {
      return invalid("the record " + describe(key) + " is the address of one of the zone's own name servers");
    }
    if (!blank) continue;
    K4T_TRY(check_free(key, present));
    if (const auto dname = dname_above(present.ours, key.first)) {
      return invalid("the record " + describe(key) + " would not be served: there is a " + describe(*dname));
    }
  }
  return {};
}

std::vector<Step> difference(const Records& present, const Records& target, const DifferenceOptions& options) {
  std::vector<Step> steps;
  std::set<std::string_view> aliases;
  for (const auto& [key, data] : present) {
    if (key.second == du::type::cname) aliases.insert(key.first);
  }
  for (const auto& [key, data] : target) {
    const auto found = present.find(key);
    const bool beside_cname = aliases.contains(key.first);
    if (found != present.end() && found->second == data && !beside_cname) continue;
    steps.push_back(put_step(key, data, beside_cname, options));
  }
  if (!options.remove_extras) return steps;
  for (const auto& [key, data] : present) {
    if (target.contains(key)) continue;
    steps.push_back(removal_step(key, data, options));
  }
  return steps;
}

std::vector<std::span<Step>> chunks(std::span<Step> steps, const Room& room) {
  std::vector<std::span<Step>> cut;
  std::size_t begin = 0;
  std::size_t used_bytes = 0;
  std::unordered_set<std::string_view> names;
  for (std::size_t at = 0; at < steps.size(); ++at) {
    const std::size_t needed_bytes = bytes_of(steps[at]);
    for (const auto& change : steps[at].changes) names.insert(change.name);
    if (at > begin && (used_bytes + needed_bytes > room.bytes || names.size() > room.names)) {
      cut.push_back(steps.subspan(begin, at - begin));
      begin = at;
      used_bytes = 0;
      names.clear();
      for (const auto& change : steps[at].changes) names.insert(change.name);
    }
    used_bytes += needed_bytes;
  }
  cut.push_back(steps.subspan(begin));
  return cut;
}

Result<void> check_sizes(const Records& target, std::size_t limit_bytes) {
  if (limit_bytes == SIZE_MAX) return {};
  for (const auto& [key, data] : target) {
    const std::size_t needed_bytes = bytes_of(put_step(key, data, false, {}));
    if (needed_bytes <= limit_bytes) continue;
    return invalid("the record " + describe(key) + " needs " + std::to_string(needed_bytes) +
                   " bytes in one update, of which this DNS server takes at most " + std::to_string(limit_bytes) +
                   "; give it fewer or shorter values");
  }
  return {};
}

std::string drift(const Records& present, const Records& target, std::size_t limit) {
  std::string text;
  std::size_t count = 0;
  const auto note = [&](std::string_view what, const Key& key) {
    if (++count > limit) return;
    text += (text.empty() ? "" : ", ") + std::string(what) + " " + describe(key);
  };
  for (const auto& [key, data] : target) {
    const auto found = present.find(key);
    if (found == present.end()) note("missing", key);
    if (found != present.end() && found->second != data) note("changed", key);
  }
  for (const auto& [key, data] : present) {
    if (!target.contains(key)) note("foreign", key);
  }
  if (count > limit) text += " and " + std::to_string(count - limit) + " more";
  return text;
}

}  // namespace k4t::dnsparticipant
