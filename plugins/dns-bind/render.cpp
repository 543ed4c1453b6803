#include "render.hpp"

#include <algorithm>
#include <charconv>

namespace k4t::dns_bind {
namespace {

namespace du = k4t::dnsupdate;

constexpr std::size_t text_limit_bytes = 255;
constexpr std::size_t value_limit = 100;  // BIND's max-records-per-type
constexpr std::size_t label_limit_bytes = 63;
constexpr std::size_t name_limit_bytes = 253;
constexpr std::uint32_t ttl_limit_s = 0x7fffffff;  // RFC 2181 §8
constexpr std::string_view reserved_prefix = "_k4t";

Error invalid(std::string message) { return Error{Status::invalid_argument, std::move(message), {}}; }

/// Words separated by single spaces; an empty word for each space too many.
std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (;;) {
    const auto space = text.find(' ');
    words.push_back(text.substr(0, space));
    if (space == std::string_view::npos) return words;
    text.remove_prefix(space + 1);
  }
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || (text.size() > 1 && text[0] == '0'))
    return std::nullopt;
  return value;
}

/// "NAME=NUMBER".
template <class Number>
std::optional<Number> field_of(std::string_view word, std::string_view name) {
  if (!word.starts_with(name) || word.substr(name.size(), 1) != "=") return std::nullopt;
  return number_of<Number>(word.substr(name.size() + 1));
}

bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char byte) { return byte > ' ' && byte < 0x7f; });
}

bool is_txn(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

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

Result<void> check_record_set(const dns::RecordSet& set, const std::string& suffix) {
  const std::string what = "record '" + set.name + "'";
  if (!at_or_below(set.name, suffix)) return invalid(what + " is not at or below the suffix " + suffix);
  if (!is_plain_name(set.name)) {
    return invalid(what +
                   " has a name that cannot be used: labels have 1 to 63 letters, digits, '_' and inner '-', "
                   "in lower case, and names at most 253 characters");
  }
  if (is_reserved(set.name, suffix)) return invalid(what + " begins with _k4t, which k4t keeps for itself");
  if (set.values.empty()) return invalid(what + " has no values");
  if (set.values.size() > value_limit) {
    return invalid(what + " has " + std::to_string(set.values.size()) +
                   " values; DNS servers accept at most 100 of one type at a name");
  }
  if (set.ttl_s > ttl_limit_s) return invalid(what + " has a TTL above 2147483647 seconds");
  return {};
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

Step put_step(const Key& key, const RecordData& data, const Records& present, const DifferenceOptions& options) {
  Step step{key, {}, {}, data, {}};
  const Key cname{key.first, du::type::cname};
  if (present.contains(cname)) {
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
  return step;
}

std::size_t bytes_of(const Step& step) {
  std::size_t sum = 0;
  for (const auto& prerequisite : step.prerequisites) sum += du::wire_bytes(prerequisite);
  for (const auto& change : step.changes) sum += du::wire_bytes(change);
  return sum;
}

}  // namespace

std::string format(const RegisterText& value) {
  std::string text =
      "1 " + value.at.cluster + " " + std::to_string(value.at.version) + " " + value.at.txn + " " + value.at.writer;
  if (value.from) text += " from=" + std::to_string(*value.from) + " chunk=" + std::to_string(value.chunk);
  return text;
}

Result<RegisterText> parse_register(std::string_view text) {
  const Error malformed =
      invalid("the register record holds something that k4t has not written: '" + std::string(text) +
              "'; delete it if nobody needs it, or give the cluster another domain");
  const auto words = words_of(text);
  if ((words.size() != 5 && words.size() != 7) || words[0] != "1") return malformed;
  const auto version = number_of<std::uint64_t>(words[2]);
  if (!version || !is_word(words[1]) || !is_txn(words[3]) || !is_word(words[4])) return malformed;
  RegisterText value{{std::string(words[1]), *version, std::string(words[3]), std::string(words[4])}, {}, 0};
  if (words.size() == 5) return value;
  value.from = field_of<std::uint64_t>(words[5], "from");
  const auto chunk = field_of<std::uint32_t>(words[6], "chunk");
  if (!value.from || !chunk) return malformed;
  value.chunk = *chunk;
  return value;
}

Result<void> check_register(const Register& value) {
  if (!is_word(value.cluster) || !is_word(value.writer) || !is_txn(value.txn)) {
    return invalid("the register's cluster, txn or writer is malformed");
  }
  const RegisterText longest{value, UINT64_MAX, UINT32_MAX};
  if (format(longest).size() > text_limit_bytes) return invalid("the register does not fit into one TXT string");
  return {};
}

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
    const Key key{set.name, number_of_type(set.type)};
    if (!content.emplace(key, std::move(data)).second)
      return invalid("the record " + describe(key) + " is given twice");
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
  for (const auto& [key, data] : target) {
    const auto found = present.find(key);
    const bool beside_cname = present.contains(Key{key.first, du::type::cname});
    if (found != present.end() && found->second == data && !beside_cname) continue;
    steps.push_back(put_step(key, data, present, options));
  }
  if (!options.remove_extras) return steps;
  for (const auto& [key, data] : present) {
    if (target.contains(key)) continue;
    steps.push_back({key, {}, {{du::Change::Kind::delete_rrset, key.first, key.second, 0, {}}}, {}, data.rdatas});
  }
  return steps;
}

std::vector<std::vector<Step>> chunks(std::vector<Step> steps, std::size_t room_bytes) {
  std::vector<std::vector<Step>> cut(1);
  std::size_t used_bytes = 0;
  for (auto& step : steps) {
    const std::size_t needed_bytes = bytes_of(step);
    if (!cut.back().empty() && used_bytes + needed_bytes > room_bytes) {
      cut.emplace_back();
      used_bytes = 0;
    }
    used_bytes += needed_bytes;
    cut.back().push_back(std::move(step));
  }
  return cut;
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

}  // namespace k4t::dns_bind
