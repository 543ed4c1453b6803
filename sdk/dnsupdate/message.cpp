#include "message.hpp"

#include <memory>
#include <unordered_map>
#include <utility>

#include "names.hpp"
#include "wire.hpp"

// Last, because it redefines `true` and `false` for whatever follows.
#include <ldns/ldns.h>

namespace k4t::dnsupdate {
namespace {

constexpr std::uint16_t class_in = 1;
constexpr std::uint16_t class_none = 254;
constexpr std::size_t pointer_limit = 0x4000;  // what a compression pointer can reach (RFC 1035 §4.1.4)

/// Where each section's count stands in the header; updates call them zone, prerequisites, changes.
enum class Count : std::size_t { question = 4, answer = 6, authority = 8 };

/// One record as updates use them: for most prerequisites and deletions the class tells the meaning and there are no
/// data (RFC 2136 §2.4, §2.5).
struct Line {
  std::string_view name;
  std::uint16_t type = type::any;
  std::uint16_t of_class = class_in;
  std::uint32_t ttl_s = 0;
  std::string_view rdata;
};

/// Writes a message record by record. By hand, because ldns makes and compares objects for each label of each name,
/// which took longer than all else that a large update costs on our side. Keeps views of the names that it is given.
class Writer {
 public:
  Writer(std::uint16_t id, std::uint16_t opcode) {
    put_u16(bytes_, id);
    put_u16(bytes_, static_cast<std::uint16_t>(opcode << 11));
    bytes_.append(header_bytes - bytes_.size(), '\0');
  }

  Result<void> question(std::string_view name, std::uint16_t type) {
    apex_ = name;
    K4T_TRY(put_name(name));
    put_u16(bytes_, type);
    put_u16(bytes_, class_in);
    return count(Count::question);
  }

  Result<void> record(Count section, const Line& line) {
    K4T_TRY(put_name(line.name));
    put_u16(bytes_, line.type);
    put_u16(bytes_, line.of_class);
    put_u32(bytes_, line.ttl_s);
    put_u16(bytes_, static_cast<std::uint16_t>(line.rdata.size()));
    bytes_ += line.rdata;
    return count(section);
  }

  Result<std::string> finish() {
    K4T_TRY(check_size());
    return std::move(bytes_);
  }

 private:
  /// Compressed as far as the names of one zone need it: names that were written before, and those below the
  /// question's.
  Result<void> put_name(std::string_view name) {
    const auto known = written_.find(name);
    if (known != written_.end()) {
      put_u16(bytes_, known->second);
      return {};
    }
    const std::size_t at = bytes_.size();
    const bool below_apex = at > header_bytes && !apex_.empty() && name.size() > apex_.size() + 1 &&
                            name.ends_with(apex_) && name[name.size() - apex_.size() - 1] == '.' &&
                            name.find('\\') == std::string_view::npos;
    K4T_ASSIGN(std::string wire, name_to_wire(name));
    if (below_apex) {
      wire.resize(name.size() - apex_.size());
      put_u16(wire, pointer_to(header_bytes));
    }
    bytes_ += wire;
    if (at < pointer_limit && !name.empty()) written_.emplace(name, pointer_to(at));
    return {};
  }

  static std::uint16_t pointer_to(std::size_t at) { return static_cast<std::uint16_t>(0xc000 | at); }

  Result<void> count(Count section) {
    const auto at = static_cast<std::size_t>(section);
    set_u16(bytes_, at, static_cast<std::uint16_t>(get_u16(bytes_, at) + 1));
    return check_size();
  }

  [[nodiscard]] Result<void> check_size() const {
    if (bytes_.size() <= message_limit_bytes) return {};
    return Error{Status::invalid_argument, "the DNS message is larger than 65535 bytes", {}};
  }

  std::string bytes_;
  std::string_view apex_;                                        ///< the question's name
  std::unordered_map<std::string_view, std::uint16_t> written_;  ///< name → pointer
};

Result<void> put_prerequisite(Writer& writer, const Prerequisite& wanted) {
  using Kind = Prerequisite::Kind;
  const bool about_name = wanted.kind == Kind::name_in_use || wanted.kind == Kind::name_not_in_use;
  const bool absent = wanted.kind == Kind::rrset_absent || wanted.kind == Kind::name_not_in_use;
  Line line{wanted.name, about_name ? type::any : wanted.type, absent ? class_none : class_any, 0, {}};
  if (wanted.kind != Kind::rrset_equals) return writer.record(Count::answer, line);
  if (wanted.rdatas.empty()) return Error{Status::fatal, "a prerequisite compares with no values", wanted.name};
  line.of_class = class_in;
  for (const auto& rdata : wanted.rdatas) {
    line.rdata = rdata;
    K4T_TRY(writer.record(Count::answer, line));
  }
  return {};
}

Result<void> put_change(Writer& writer, const Change& change) {
  switch (change.kind) {
    case Change::Kind::add:
      return writer.record(Count::authority, {change.name, change.type, class_in, change.ttl_s, change.rdata});
    case Change::Kind::delete_rrset:
      return writer.record(Count::authority, {change.name, change.type, class_any, 0, {}});
    case Change::Kind::delete_name: return writer.record(Count::authority, {change.name, type::any, class_any, 0, {}});
    case Change::Kind::delete_value:
      return writer.record(Count::authority, {change.name, change.type, class_none, 0, change.rdata});
  }
  return Error{Status::fatal, "unknown kind of change", change.name};
}

struct FreeRecord {
  void operator()(ldns_rr* record) const { ldns_rr_free(record); }
};

/// Data without domain names are the same in every message; ldns knows which others hold compressed ones.
bool is_plain_data(std::uint16_t type, std::size_t size_bytes) {
  return (type == type::a && size_bytes == 4) || (type == type::aaaa && size_bytes == 16) || type == type::txt;
}

/// The data of the record that begins at `at`, uncompressed and with names in lower case.
std::optional<std::string> canonical_data(std::string_view message, std::size_t at) {
  ldns_rr* raw = nullptr;
  const auto status = ldns_wire2rr(&raw, reinterpret_cast<const std::uint8_t*>(message.data()), message.size(), &at,
                                   LDNS_SECTION_ANSWER);
  if (status != LDNS_STATUS_OK) return std::nullopt;
  const std::unique_ptr<ldns_rr, FreeRecord> record(raw);
  ldns_rr2canonical(raw);
  std::string data;
  for (std::size_t i = 0; i < ldns_rr_rd_count(raw); ++i) {
    const ldns_rdf* field = ldns_rr_rdf(raw, i);
    data.append(reinterpret_cast<const char*>(ldns_rdf_data(field)), ldns_rdf_size(field));
  }
  return data;
}

/// Reads so many records; those of another class than IN are left out. False: malformed.
bool read_records(std::string_view message, Reader& reader, std::size_t count, std::vector<Record>& records) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t begin = reader.at();
    const std::string owner = reader.name();
    Record record{name_text(owner), reader.u16(), 0, {}};
    const std::uint16_t of_class = reader.u16();
    record.ttl_s = reader.u32();
    const std::string_view rdata = reader.take(reader.u16());
    if (!reader.ok()) return false;
    if (of_class != class_in) continue;
    if (is_plain_data(record.type, rdata.size())) {
      record.rdata = rdata;
    } else if (auto data = canonical_data(message, begin)) {
      record.rdata = *std::move(data);
    } else {
      return false;
    }
    records.push_back(std::move(record));
  }
  return true;
}

bool same_question(Reader& reader, std::size_t count, std::string_view name, std::uint16_t type) {
  if (count == 0) return type == type_axfr;
  const std::string asked = name_text(reader.name());
  return count == 1 && reader.u16() == type && reader.u16() == class_in && reader.ok() && asked == name;
}

}  // namespace

Result<std::string> encode_update(const Update& update, std::uint16_t id) {
  Writer writer(id, opcode_update);
  K4T_TRY(writer.question(update.zone, type::soa));
  for (const auto& prerequisite : update.prerequisites) K4T_TRY(put_prerequisite(writer, prerequisite));
  for (const auto& change : update.changes) K4T_TRY(put_change(writer, change));
  return writer.finish();
}

Result<std::string> encode_query(std::string_view name, std::uint16_t type, std::uint16_t id) {
  Writer writer(id, opcode_query);
  K4T_TRY(writer.question(name, type));
  return writer.finish();
}

Header header_of(std::string_view message) {
  const std::uint16_t flags = get_u16(message, 2);
  Header header;
  header.id = get_u16(message, 0);
  header.answer = (flags & 0x8000) != 0;
  header.opcode = static_cast<std::uint16_t>(flags >> 11 & 0xf);
  header.authoritative = (flags & 0x0400) != 0;
  header.truncated = (flags & 0x0200) != 0;
  header.rcode = static_cast<std::uint8_t>(flags & 0xf);
  return header;
}

Result<Sections> decode_answer(std::string_view message, std::string_view name, std::uint16_t type) {
  const Error malformed{Status::unavailable, "the DNS server sent a malformed message", {}};
  if (message.size() < header_bytes) return malformed;
  Reader reader(message, header_bytes);
  if (!same_question(reader, get_u16(message, 4), name, type)) {
    return Error{Status::unavailable, "the DNS server answered another question than was asked", std::string(name)};
  }
  Sections sections;
  const bool fits = read_records(message, reader, get_u16(message, 6), sections.answer) &&
                    read_records(message, reader, get_u16(message, 8), sections.authority);
  if (!fits) return malformed;
  return sections;
}

}  // namespace k4t::dnsupdate
