#include "register_text.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

namespace k4t::dnsparticipant {
namespace {

constexpr std::size_t text_limit_bytes = 255;

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

}  // namespace k4t::dnsparticipant
