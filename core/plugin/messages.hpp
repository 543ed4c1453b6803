#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include "k4t/result.hpp"

/// The stable ids of what can go wrong with plugins. docs/messages.md gives each its cause and action; an id is never
/// used again for something else.

namespace k4t::plugin {

namespace id {
inline constexpr std::string_view missing = "K4T-PLG-001";
inline constexpr std::string_view unreadable = "K4T-PLG-002";
inline constexpr std::string_view not_regular = "K4T-PLG-003";
inline constexpr std::string_view not_private = "K4T-PLG-004";
inline constexpr std::string_view not_a_library = "K4T-PLG-005";
inline constexpr std::string_view not_linkable = "K4T-PLG-006";
inline constexpr std::string_view no_symbol = "K4T-PLG-007";
inline constexpr std::string_view other_major = "K4T-PLG-008";
inline constexpr std::string_view host_too_old = "K4T-PLG-009";
inline constexpr std::string_view short_table = "K4T-PLG-010";
inline constexpr std::string_view null_function = "K4T-PLG-011";
inline constexpr std::string_view describe_failed = "K4T-PLG-012";
inline constexpr std::string_view describe_hangs = "K4T-PLG-013";
inline constexpr std::string_view bad_manifest = "K4T-PLG-014";
inline constexpr std::string_view other_api = "K4T-PLG-015";
inline constexpr std::string_view name_used_twice = "K4T-PLG-016";
inline constexpr std::string_view no_such_driver = "K4T-PLG-020";
inline constexpr std::string_view bad_options = "K4T-PLG-021";
inline constexpr std::string_view open_failed = "K4T-PLG-022";
inline constexpr std::string_view bad_reply = "K4T-PLG-030";
inline constexpr std::string_view threw = "K4T-PLG-031";
inline constexpr std::string_view overran = "K4T-PLG-032";
inline constexpr std::string_view occupied = "K4T-PLG-033";
inline constexpr std::string_view poisoned = "K4T-PLG-034";
inline constexpr std::string_view bad_request = "K4T-PLG-035";

inline constexpr std::array all = {missing,         unreadable,      not_regular,    not_private,  not_a_library,
                                   not_linkable,    no_symbol,       other_major,    host_too_old, short_table,
                                   null_function,   describe_failed, describe_hangs, bad_manifest, other_api,
                                   name_used_twice, no_such_driver,  bad_options,    open_failed,  bad_reply,
                                   threw,           overran,         occupied,       poisoned,     bad_request};
}  // namespace id

/// "ID: plugin FILE CAUSE. REMEDY." `cause` continues the sentence that the file begins.
inline Error file_error(Status status, std::string_view message_id, const std::filesystem::path& file,
                        const std::string& cause, const std::string& remedy, std::string detail = {}) {
  return {status, std::string(message_id) + ": plugin '" + file.string() + "' " + cause + ". " + remedy + ".",
          std::move(detail)};
}

}  // namespace k4t::plugin
