#include "file.hpp"

#include <charconv>

#include "k4t/digest.hpp"
#include "syntax.hpp"

namespace k4t::haproxy {
namespace {

constexpr std::string_view format = "1";
constexpr std::string_view runtime_word = "runtime";
constexpr std::string_view comment_head = "# k4t ";

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// Takes the next line, without its end, from the front of `rest`.
std::string_view next_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  const auto line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return line;
}

bool only_comments(std::string_view text) {
  while (!text.empty()) {
    const auto line = next_line(text);
    const auto first = line.find_first_not_of(" \t\r");
    if (first != std::string_view::npos && line[first] != '#') return false;
  }
  return true;
}

std::string head_of(const Marker& marker) {
  const std::string text = marker_text(marker);
  return std::string(comment_head) + text + "\nglobal\n  set-var proc.k4t str(" + text + ")\n";
}

}  // namespace

Result<void> check_register(const Register& at) {
  const auto check = [](std::string_view what, const std::string& text) -> Result<void> {
    if (is_plain(text)) return {};
    return Error{Status::invalid_argument,
                 "the register's " + std::string(what) + " '" + text +
                     "' cannot be written to HAProxy: only letters, digits, '.', '_' and '-' can",
                 {}};
  };
  K4T_TRY(check("cluster", at.cluster));
  K4T_TRY(check("txn", at.txn));
  return check("writer", at.writer);
}

std::string marker_text(const Marker& marker) {
  std::string text = std::string(format) + "/" + marker.at.cluster + "/" + std::to_string(marker.at.version) + "/" +
                     marker.at.txn + "/" + marker.at.writer + "/" + marker.digest;
  return marker.runtime ? text + "/" + std::string(runtime_word) : text;
}

std::optional<Marker> parse_marker(std::string_view text) {
  const auto parts = split(text, '/');
  if (parts.size() < 6 || parts.size() > 7 || parts[0] != format) return {};
  Marker marker;
  marker.at = {std::string(parts[1]), 0, std::string(parts[3]), std::string(parts[4])};
  const auto end = parts[2].data() + parts[2].size();
  const auto [stop, failed] = std::from_chars(parts[2].data(), end, marker.at.version);
  marker.digest = parts[5];
  marker.runtime = parts.size() == 7;
  if (failed != std::errc() || stop != end || !check_register(marker.at)) return {};
  return marker_text(marker) == text ? std::optional(marker) : std::nullopt;
}

std::string compose(const Register& at, std::string_view body) {
  return head_of({at, sha256_hex(body), false}) + std::string(body);
}

StoredFile parse_file(std::string_view text) {
  StoredFile file;
  std::string_view rest = text;
  const auto first = next_line(rest);
  if (!first.starts_with(comment_head)) {
    file.kind = only_comments(text) ? FileKind::blank : FileKind::foreign;
    return file;
  }
  const auto marker = parse_marker(first.substr(comment_head.size()));
  if (!marker || marker->runtime) {
    file.kind = FileKind::foreign;
    return file;
  }
  file.kind = FileKind::ours;
  file.marker = *marker;
  const std::string head = head_of(*marker);
  if (text.starts_with(head)) file.body = text.substr(head.size());
  file.intact = text.starts_with(head) && sha256_hex(file.body) == marker->digest;
  return file;
}

Layout layout_of(std::string_view body) {
  Layout layout;
  std::string proxy;
  while (!body.empty()) {
    const auto line = next_line(body);
    const auto words = split(line, ' ');  // "  server NAME …": two empty words come first
    if (line.starts_with("  server ") && words.size() > 4) {
      const auto name = words[3];
      layout.servers.push_back({proxy, std::string(name), std::string(line.substr(line.find(name) + name.size() + 1))});
      continue;
    }
    if (line.starts_with("backend ") && words.size() > 1) proxy = words[1];
    if (line.starts_with("  bind ") && words.size() > 3) layout.binds.emplace_back(words[3]);
    layout.skeleton.append(line).append("\n");
  }
  return layout;
}

}  // namespace k4t::haproxy
