#include "syntax.hpp"

#include <algorithm>

namespace k4t::nginx {
namespace {

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("/._-:[]").find(c) != std::string_view::npos;
}

}  // namespace

Word Word::text(std::string_view from_outside) {
  if (!from_outside.empty() && std::all_of(from_outside.begin(), from_outside.end(), is_plain)) {
    return Word(std::string(from_outside), 0);
  }
  std::string quoted = "\"";
  for (const char c : from_outside) {
    switch (c) {
      case '"':
      case '\\': (quoted += '\\') += c; break;
      case '\n': quoted += "\\n"; break;
      case '\r': quoted += "\\r"; break;
      case '\t': quoted += "\\t"; break;
      default: quoted += c;
    }
  }
  return Word(quoted + '"', 0);
}

void Writer::put(std::initializer_list<Word> words, std::string_view end) {
  text_.append(depth_ * 2, ' ');
  const char* blank = "";
  for (const Word& word : words) {
    (text_ += blank) += word.written();
    blank = " ";
  }
  (text_ += end) += '\n';
}

Writer& Writer::line(std::initializer_list<Word> words) {
  put(words, ";");
  return *this;
}

Writer& Writer::open(std::initializer_list<Word> words) {
  put(words, " {");
  ++depth_;
  return *this;
}

Writer& Writer::close() {
  --depth_;
  text_.append(depth_ * 2, ' ') += "}\n";
  return *this;
}

}  // namespace k4t::nginx
