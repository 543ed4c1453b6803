#include "message.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "names.hpp"
#include "wire.hpp"

// Last, because it redefines `true` and `false` for whatever follows.
#include <ldns/ldns.h>

namespace k4t::dnsupdate {
namespace {

struct FreePacket {
  void operator()(ldns_pkt* packet) const { ldns_pkt_free(packet); }
};
using Packet = std::unique_ptr<ldns_pkt, FreePacket>;

struct FreeBytes {
  void operator()(std::uint8_t* bytes) const { LDNS_FREE(bytes); }
};

/// One record as updates use them: for most prerequisites and deletions the class tells the meaning and there are no
/// data (RFC 2136 §2.4, §2.5).
struct Line {
  std::string_view name;
  std::uint16_t type = type::any;
  ldns_rr_class of_class = LDNS_RR_CLASS_IN;
  std::uint32_t ttl_s = 0;
  const std::string* rdata = nullptr;
};

Result<void> push(ldns_pkt& packet, ldns_pkt_section section, const Line& line) {
  K4T_ASSIGN(auto owner, make_dname(line.name));
  ldns_rr* record = ldns_rr_new();
  ldns_rr_set_owner(record, owner.release());
  ldns_rr_set_type(record, static_cast<ldns_rr_type>(line.type));
  ldns_rr_set_class(record, line.of_class);
  ldns_rr_set_ttl(record, line.ttl_s);
  ldns_rr_set_question(record, section == LDNS_SECTION_QUESTION);
  if (line.rdata != nullptr) {
    // The data as one field of no known kind: ldns then copies the bytes as they are, without compression.
    ldns_rr_push_rdf(record, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_UNKNOWN, line.rdata->size(), line.rdata->data()));
  }
  ldns_pkt_push_rr(&packet, section, record);
  return {};
}

Packet new_packet(std::uint16_t id, std::uint16_t opcode) {
  Packet packet(ldns_pkt_new());
  ldns_pkt_set_id(packet.get(), id);
  ldns_pkt_set_opcode(packet.get(), static_cast<ldns_pkt_opcode>(opcode));
  return packet;
}

Result<std::string> to_bytes(const ldns_pkt& packet) {
  std::uint8_t* raw = nullptr;
  std::size_t size_bytes = 0;
  const auto status = ldns_pkt2wire(&raw, &packet, &size_bytes);
  const std::unique_ptr<std::uint8_t, FreeBytes> owned(raw);
  if (status != LDNS_STATUS_OK || size_bytes > message_limit_bytes) {
    return Error{Status::invalid_argument, "the DNS message is larger than 65535 bytes", {}};
  }
  return std::string(reinterpret_cast<const char*>(raw), size_bytes);
}

Result<void> push_prerequisite(ldns_pkt& packet, const Prerequisite& wanted) {
  using Kind = Prerequisite::Kind;
  const bool about_name = wanted.kind == Kind::name_in_use || wanted.kind == Kind::name_not_in_use;
  const bool absent = wanted.kind == Kind::rrset_absent || wanted.kind == Kind::name_not_in_use;
  Line line{wanted.name, about_name ? type::any : wanted.type, absent ? LDNS_RR_CLASS_NONE : LDNS_RR_CLASS_ANY, 0,
            nullptr};
  if (wanted.kind != Kind::rrset_equals) return push(packet, LDNS_SECTION_ANSWER, line);
  if (wanted.rdatas.empty()) return Error{Status::fatal, "a prerequisite compares with no values", wanted.name};
  line.of_class = LDNS_RR_CLASS_IN;
  for (const auto& rdata : wanted.rdatas) {
    line.rdata = &rdata;
    K4T_TRY(push(packet, LDNS_SECTION_ANSWER, line));
  }
  return {};
}

Result<void> push_change(ldns_pkt& packet, const Change& change) {
  switch (change.kind) {
    case Change::Kind::add:
      return push(packet, LDNS_SECTION_AUTHORITY,
                  {change.name, change.type, LDNS_RR_CLASS_IN, change.ttl_s, &change.rdata});
    case Change::Kind::delete_rrset:
      return push(packet, LDNS_SECTION_AUTHORITY, {change.name, change.type, LDNS_RR_CLASS_ANY, 0, nullptr});
    case Change::Kind::delete_name:
      return push(packet, LDNS_SECTION_AUTHORITY, {change.name, type::any, LDNS_RR_CLASS_ANY, 0, nullptr});
    case Change::Kind::delete_value:
      return push(packet, LDNS_SECTION_AUTHORITY, {change.name, change.type, LDNS_RR_CLASS_NONE, 0, &change.rdata});
  }
  return Error{Status::fatal, "unknown kind of change", change.name};
}

Record from_ldns(ldns_rr& raw) {
  ldns_rr2canonical(&raw);
  Record record{
      dname_text(*ldns_rr_owner(&raw)), static_cast<std::uint16_t>(ldns_rr_get_type(&raw)), ldns_rr_ttl(&raw), {}};
  for (std::size_t i = 0; i < ldns_rr_rd_count(&raw); ++i) {
    const ldns_rdf* field = ldns_rr_rdf(&raw, i);
    record.rdata.append(reinterpret_cast<const char*>(ldns_rdf_data(field)), ldns_rdf_size(field));
  }
  return record;
}

std::vector<Record> records_of(const ldns_rr_list* list) {
  std::vector<Record> records;
  for (std::size_t i = 0; i < ldns_rr_list_rr_count(list); ++i) {
    ldns_rr* raw = ldns_rr_list_rr(list, i);
    if (ldns_rr_get_class(raw) == LDNS_RR_CLASS_IN) records.push_back(from_ldns(*raw));
  }
  return records;
}

bool same_question(const ldns_pkt& packet, std::string_view name, std::uint16_t type) {
  const ldns_rr_list* questions = ldns_pkt_question(&packet);
  if (ldns_rr_list_rr_count(questions) == 0) return type == type_axfr;
  ldns_rr* asked = ldns_rr_list_rr(questions, 0);
  ldns_dname2canonical(ldns_rr_owner(asked));
  return ldns_rr_list_rr_count(questions) == 1 && ldns_rr_get_type(asked) == static_cast<ldns_rr_type>(type) &&
         dname_text(*ldns_rr_owner(asked)) == name;
}

}  // namespace

Result<std::string> encode_update(const Update& update, std::uint16_t id) {
  const Packet packet = new_packet(id, opcode_update);
  K4T_TRY(push(*packet, LDNS_SECTION_QUESTION, {update.zone, type::soa, LDNS_RR_CLASS_IN, 0, nullptr}));
  for (const auto& prerequisite : update.prerequisites) K4T_TRY(push_prerequisite(*packet, prerequisite));
  for (const auto& change : update.changes) K4T_TRY(push_change(*packet, change));
  return to_bytes(*packet);
}

Result<std::string> encode_query(std::string_view name, std::uint16_t type, std::uint16_t id) {
  const Packet packet = new_packet(id, opcode_query);
  K4T_TRY(push(*packet, LDNS_SECTION_QUESTION, {name, type, LDNS_RR_CLASS_IN, 0, nullptr}));
  return to_bytes(*packet);
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
  ldns_pkt* raw = nullptr;
  const auto status = ldns_wire2pkt(&raw, reinterpret_cast<const std::uint8_t*>(message.data()), message.size());
  if (status != LDNS_STATUS_OK) {
    return Error{Status::unavailable, "the DNS server sent a malformed message", ldns_get_errorstr_by_id(status)};
  }
  const Packet packet(raw);
  if (!same_question(*packet, name, type)) {
    return Error{Status::unavailable, "the DNS server answered another question than was asked", std::string(name)};
  }
  return Sections{records_of(ldns_pkt_answer(raw)), records_of(ldns_pkt_authority(raw))};
}

}  // namespace k4t::dnsupdate
