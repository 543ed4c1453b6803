#include "index.hpp"

#include <charconv>

namespace k4t::dnsparticipant {
namespace {

namespace du = k4t::dnsupdate;

constexpr std::uint32_t bucket_count = 64;

std::string name_of_bucket(std::uint32_t bucket, std::string_view suffix) {
  const std::string number = std::to_string(bucket);
  return "_k4t-i-" + std::string(number.size() < 2 ? "0" : "") + number + "." + std::string(suffix);
}

/// FNV-1a, 32 bits: fixed for ever, unlike std::hash.
std::uint32_t hash_of(std::string_view text) {
  std::uint32_t hash = 2166136261U;
  for (const char byte : text) hash = (hash ^ static_cast<std::uint8_t>(byte)) * 16777619U;
  return hash;
}

std::string text_of(const Key& key, const std::string& suffix) {
  const bool is_suffix = key.first == suffix;
  return std::to_string(key.second) + " " +
         (is_suffix ? "@" : key.first.substr(0, key.first.size() - suffix.size() - 1));
}

du::Change change(du::Change::Kind kind, const Key& key, const std::string& suffix) {
  // At most 255 bytes: a name of 253 loses its suffix, and the types we write have two digits.
  const std::string text = text_of(key, suffix);
  return {kind, name_of_bucket(hash_of(text) % bucket_count, suffix), du::type::txt, 0,
          std::string(1, static_cast<char>(text.size())) + text};
}

}  // namespace

std::vector<std::string> index_names(std::string_view suffix) {
  std::vector<std::string> names;
  for (std::uint32_t bucket = 0; bucket < bucket_count; ++bucket) names.push_back(name_of_bucket(bucket, suffix));
  return names;
}

du::Change note_in_index(const Key& key, const std::string& suffix) {
  return change(du::Change::Kind::add, key, suffix);
}

du::Change drop_from_index(const Key& key, const std::string& suffix) {
  return change(du::Change::Kind::delete_value, key, suffix);
}

std::optional<Key> parse_index(std::string_view text, const std::string& suffix) {
  std::uint16_t type = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), type);
  const auto digits = static_cast<std::size_t>(end - text.data());
  if (error != std::errc() || text.substr(digits, 1) != " ") return std::nullopt;
  const auto labels = text.substr(digits + 1);
  const std::string name = labels == "@" ? suffix : std::string(labels) + "." + suffix;
  if (labels.empty() || labels.find(' ') != std::string_view::npos || !du::check_name(name)) return std::nullopt;
  return Key{name, type};
}

}  // namespace k4t::dnsparticipant
