#include "drivers/witness_text.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "k4t/participant.hpp"

namespace k4t::drivers {
namespace {

constexpr std::size_t text_limit_bytes = 255;  // RFC 1035 §3.3: one character-string
constexpr std::string_view no_vote = "-";
constexpr std::string_view open_word = "open";
constexpr std::string_view closed_word = "closed";

/// Cuts off what stands before the first `separator`; absent: there is none.
std::optional<std::string_view> cut(std::string_view& text, char separator) {
  const auto at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const auto first = text.substr(0, at);
  text.remove_prefix(at + 1);
  return first;
}

/// Only as std::to_string writes it, so that a value has one text.
std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && std::to_string(value) == text ? std::optional(value) : std::nullopt;
}

std::optional<model::Epoch> epoch_of(std::string_view text) {
  const auto counter = cut(text, '.');
  const auto number = counter ? number_of(*counter) : std::nullopt;
  // A run has the form of a txn: 32 hex digits.
  if (!number || !is_txn(text)) return std::nullopt;
  return model::Epoch{*number, std::string(text)};
}

std::optional<model::Vote> vote_of(std::string_view text) {
  const auto first = cut(text, '/');
  const auto second = first ? cut(text, '/') : std::nullopt;
  if (!second || !is_txn(text)) return std::nullopt;
  const auto epoch = epoch_of(*first);
  const auto version = number_of(*second);
  if (!epoch || !version) return std::nullopt;
  return model::Vote{*epoch, *version, std::string(text)};
}

std::string text_of(const model::Epoch& epoch) { return std::to_string(epoch.counter) + '.' + epoch.run; }

std::string text_of(const model::Vote& vote) {
  return text_of(vote.epoch) + '/' + std::to_string(vote.version) + '/' + vote.txn;
}

bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char byte) { return byte > ' ' && byte < 0x7f; });
}

std::optional<model::WitnessRegister> parse(std::string_view text) {
  const auto form = cut(text, ' ');
  const auto cluster = form ? cut(text, ' ') : std::nullopt;
  const auto promised = cluster ? cut(text, ' ') : std::nullopt;
  const auto vote = promised ? cut(text, ' ') : std::nullopt;
  if (!vote || *form != "1" || !is_word(*cluster)) return std::nullopt;
  // Where nobody is named, the state is the last word.
  const auto state = cut(text, ' ');
  const auto word = state.value_or(text);
  const auto holder = state ? text : std::string_view();
  if ((word != open_word && word != closed_word) || (state && holder.empty())) return std::nullopt;
  if (brief_holder(holder) != holder) return std::nullopt;
  const auto epoch = epoch_of(*promised);
  const auto voted = *vote == no_vote ? std::nullopt : vote_of(*vote);
  if (!epoch || (*vote != no_vote && !voted)) return std::nullopt;
  return model::WitnessRegister{std::string(*cluster), {}, *epoch, std::string(holder), word == open_word, voted};
}

}  // namespace

std::string brief_holder(std::string_view holder) {
  std::string brief(holder.substr(0, holder_limit_bytes));
  for (char& byte : brief) {
    if (byte < ' ' || byte > '~') byte = '?';
  }
  brief.resize(brief.find_last_not_of(' ') + 1);
  return brief;
}

Result<std::string> text_of(const model::WitnessRegister& value) {
  std::string text = "1 " + value.cluster + ' ' + text_of(value.promised) + ' ';
  text += value.vote ? text_of(*value.vote) : std::string(no_vote);
  text += ' ' + std::string(value.open ? open_word : closed_word);
  if (const auto holder = brief_holder(value.holder); !holder.empty()) text += ' ' + holder;
  if (text.size() <= text_limit_bytes && parse(text)) return text;
  return Error{Status::invalid_argument, "the witness's register has no text that a DNS server can hold", text};
}

Result<model::WitnessRegister> parse_witness_text(std::string_view text, const std::string& id) {
  auto value = parse(text);
  if (!value) {
    return Error{Status::fatal, "it holds something that no witness has written, and was left as it is",
                 std::string(text.substr(0, text_limit_bytes))};
  }
  value->id = id;
  return *std::move(value);
}

}  // namespace k4t::drivers
