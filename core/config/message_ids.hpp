#pragma once

#include <array>
#include <string_view>

/// The stable ids of the messages about configuration. docs/messages.md gives each its cause and action; an id is never
/// used again for something else.

namespace k4t::config::id {

inline constexpr std::string_view missing_file = "K4T-CFG-001";
inline constexpr std::string_view unreadable_file = "K4T-CFG-002";
inline constexpr std::string_view not_a_file = "K4T-CFG-003";
inline constexpr std::string_view file_too_large = "K4T-CFG-004";
inline constexpr std::string_view writable_by_all = "K4T-CFG-005";
inline constexpr std::string_view not_utf8 = "K4T-CFG-006";
inline constexpr std::string_view syntax = "K4T-CFG-010";
inline constexpr std::string_view nested_too_deeply = "K4T-CFG-011";
inline constexpr std::string_view defined_twice = "K4T-CFG-012";
inline constexpr std::string_view unknown_key = "K4T-CFG-020";
inline constexpr std::string_view missing_key = "K4T-CFG-021";
inline constexpr std::string_view wrong_type = "K4T-CFG-022";
inline constexpr std::string_view impossible_value = "K4T-CFG-023";
inline constexpr std::string_view reserved_name = "K4T-CFG-024";
inline constexpr std::string_view control_character = "K4T-CFG-025";
inline constexpr std::string_view text_too_long = "K4T-CFG-026";
inline constexpr std::string_view keys_exclude = "K4T-CFG-027";
inline constexpr std::string_view wrong_count = "K4T-CFG-028";
inline constexpr std::string_view name_used_twice = "K4T-CFG-030";
inline constexpr std::string_view dangling_name = "K4T-CFG-031";
inline constexpr std::string_view listeners_overlap = "K4T-CFG-032";
inline constexpr std::string_view unmatched_labels = "K4T-CFG-033";
inline constexpr std::string_view ports_overlap = "K4T-CFG-034";
inline constexpr std::string_view place_used_twice = "K4T-CFG-035";
inline constexpr std::string_view subnets_overlap = "K4T-CFG-036";
inline constexpr std::string_view option_refused = "K4T-CFG-040";
inline constexpr std::string_view options_schema_unusable = "K4T-CFG-041";
inline constexpr std::string_view cannot_witness = "K4T-CFG-042";

inline constexpr std::array all = {missing_file,     unreadable_file,   not_a_file,
                                   file_too_large,   writable_by_all,   not_utf8,
                                   syntax,           nested_too_deeply, defined_twice,
                                   unknown_key,      missing_key,       wrong_type,
                                   impossible_value, reserved_name,     control_character,
                                   text_too_long,    keys_exclude,      wrong_count,
                                   name_used_twice,  dangling_name,     listeners_overlap,
                                   unmatched_labels, ports_overlap,     place_used_twice,
                                   subnets_overlap,  option_refused,    options_schema_unusable,
                                   cannot_witness};

}  // namespace k4t::config::id
