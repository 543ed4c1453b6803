#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "k4t/participant.hpp"

/// The register as it stands in nginx's files and in its status answer: "CLUSTER VERSION TXN WRITER", one blank
/// between. Pure.

namespace k4t::nginx {

/// REQUIRES: check_register(value).ok()
std::string to_text(const Register& value);

/// Nothing where the text is not exactly that of a register.
std::optional<Register> register_from_text(std::string_view text);

/// INVALID_ARGUMENT where cluster or writer is not made of letters, digits, '.', '_' and '-', or too long: the parts
/// become names of folders and words of configuration files.
Result<void> check_register(const Register& value);
Result<void> check_txn(std::string_view txn);

/// The first line of a file that holds `rest`: the register and the digest of `rest`; with its line end.
std::string first_line(const Register& value, std::string_view rest);

/// What a file's first line says.
struct FirstLine {
  Register at;
  std::string digest;  ///< SHA-256 of the rest, 64 hex digits
};

/// Nothing where the line (without its line end) is not one that `first_line` makes.
std::optional<FirstLine> parse_first_line(std::string_view line);

}  // namespace k4t::nginx
