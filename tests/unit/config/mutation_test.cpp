#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "samples.hpp"

namespace k4t::config::testing {
namespace {

constexpr std::uint32_t seed = 20'240'517;
constexpr int rounds = 1500;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += c;
    }
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + '\n';
  return text;
}

/// Damages a text in one of the ways in which files get damaged.
class Damage {
 public:
  std::string apply(std::string text) {
    const int times = 1 + static_cast<int>(below(3));
    for (int i = 0; i < times && !text.empty(); ++i) text = once(std::move(text));
    return text;
  }

 private:
  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_); }

  std::string once(std::string text) {
    const std::size_t at = below(text.size());
    switch (below(6)) {
      case 0: text[at] = static_cast<char>(static_cast<unsigned char>(text[at]) ^ (1U << below(8))); return text;
      case 1: return text.substr(0, at);
      case 2: return text.insert(at, 1, "\"'[]{}=.,#\n\\\t\x00\x7f\xff"[below(16)]);
      case 3: return text.erase(at, 1 + below(20));
      default: return with_line(std::move(text));
    }
  }

  /// Deletes, repeats or moves a line.
  std::string with_line(std::string text) {
    auto lines = lines_of(text);
    const std::size_t at = below(lines.size());
    const std::string line = lines[at];
    if (below(2) == 0) lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(at));
    if (below(2) == 0) lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(below(lines.size() + 1)), line);
    return joined(lines);
  }

  std::mt19937 random_{seed};
};

std::size_t characters(const std::string& line) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

void expect_inside(const std::string& text, const Diagnostic& diagnostic) {
  const auto lines = lines_of(text);
  ASSERT_GE(diagnostic.line, 1);
  ASSERT_LE(diagnostic.line, static_cast<int>(lines.size()));
  const std::string& line = lines[static_cast<std::size_t>(diagnostic.line) - 1];
  EXPECT_GE(diagnostic.column, 1);
  // Right behind the last character: the file or the line ended too early.
  EXPECT_LE(diagnostic.column, static_cast<int>(std::max(characters(line), line.size())) + 1);
  EXPECT_FALSE(diagnostic.cause.empty());
  EXPECT_FALSE(diagnostic.remedy.empty());
}

template <class T>
void expect_sane(const std::string& text, const Loaded<T>& loaded) {
  EXPECT_NE(loaded.ok(), has_errors(loaded.diagnostics));
  for (const auto& diagnostic : loaded.diagnostics) expect_inside(text, diagnostic);
  EXPECT_EQ(render_terminal(loaded.diagnostics, loaded.sources, false).empty(), loaded.diagnostics.empty());
}

TEST(MutationTest, ADamagedClusterFileGivesAValueOrErrorsWithAPlaceInIt) {
  Damage damage;
  const std::string example = read_repository_file("config/k4t.toml");
  int refused = 0;
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    const std::string text = damage.apply(example);
    SCOPED_TRACE("round " + std::to_string(round) + ":\n" + text);
    const auto loaded = parse_cluster_text(text);
    expect_sane(text, loaded);
    refused += loaded.ok() ? 0 : 1;
  }
  EXPECT_GT(refused, rounds / 4);
}

TEST(MutationTest, ADamagedServiceFileGivesAValueOrErrorsWithAPlaceInIt) {
  Damage damage;
  int refused = 0;
  for (const auto& path : example_services()) {
    const std::string example = read_repository_file(path);
    for (int round = 0; round < rounds && !HasFailure(); ++round) {
      const std::string text = damage.apply(example);
      SCOPED_TRACE(path + ", round " + std::to_string(round) + ":\n" + text);
      const auto loaded = parse_service_text(text);
      expect_sane(text, loaded);
      refused += loaded.ok() ? 0 : 1;
    }
  }
  EXPECT_GT(refused, rounds / 4);
}

}  // namespace
}  // namespace k4t::config::testing
