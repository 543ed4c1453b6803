#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

/// The one writer of nginx configuration text. Pure. The grammar is that of nginx's own tokenizer: a word in double
/// quotes may hold anything, with `\"` and `\\` for the quote and the backslash.

namespace k4t::nginx {

/// One word of a directive. Text from outside goes in through `text` only, which quotes whatever is not plainly safe.
/// nginx expands `$name` in the arguments of some directives even inside quotes, and knows no escape for it: `text` is
/// for directives whose arguments are taken literally (location, server_name, names of upstreams and zones).
class Word {
 public:
  Word(const char* own) : written_(own) {}  // NOLINT(google-explicit-constructor): the writer's own words
  Word(std::uint64_t number) : written_(std::to_string(number)) {}  // NOLINT(google-explicit-constructor)
  static Word text(std::string_view from_outside);
  /// A word put together from the writer's own words and numbers, or from names that were checked.
  static Word own(std::string written) { return Word(std::move(written), 0); }

  [[nodiscard]] const std::string& written() const { return written_; }

 private:
  Word(std::string written, int) : written_(std::move(written)) {}
  std::string written_;
};

class Writer {
 public:
  /// `words;`
  Writer& line(std::initializer_list<Word> words);
  /// `words {`, to be ended by close().
  Writer& open(std::initializer_list<Word> words);
  Writer& close();
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void put(std::initializer_list<Word> words, std::string_view end);
  std::string text_;
  std::size_t depth_ = 0;
};

}  // namespace k4t::nginx
