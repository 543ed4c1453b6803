#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/json_value.hpp"

/// Part of k4t/json.hpp: values straight to JSON text and back. A request holds the full state of a large cluster,
/// often twice, and every call crosses the plugin's edge as text: making a Json of it on each side would take longer
/// than all that drivers do with it.

namespace k4t {

/// The canonical text of a value, Json(value).dump(), without making a Json. Throws Json::exception where a string
/// within it is not UTF-8.
template <class T>
std::string json_text(const T& value);

/// The JSON text of a request.
class JsonText {
 public:
  JsonText(const Json& json);  // NOLINT: a Json can be used wherever its text is wanted
  template <class T>
  static JsonText of(const T& value);

  /// False: a string within it is not UTF-8, which JSON cannot say; the text is empty then.
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  JsonText() = default;
  std::string text_;
  bool ok_ = true;
};

namespace detail {

/// Appends a string. Throws where it is not UTF-8.
void put_text(std::string& to, std::string_view value);
/// Ends an object or array whose parts have a comma behind them.
void close_text(std::string& to, char with);

/// Which of the keys comes first, second, … in a canonical text.
template <std::size_t count>
constexpr std::array<std::size_t, count> sorted_places(const std::array<std::string_view, count>& keys) {
  std::array<std::size_t, count> places{};
  for (std::size_t i = 0; i < count; ++i) places[i] = i;
  std::ranges::sort(places, {}, [&keys](std::size_t place) { return keys[place]; });
  return places;
}

template <class T>
concept HasText = requires(std::string& to, const T& value) {
  k4t_json_text(to, value);
};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::bool_constant<!std::same_as<T, bool>> {};

template <class T>
void put_value_text(std::string& to, const T& value) {
  if constexpr (HasText<T>) {
    k4t_json_text(to, value);
  } else if constexpr (std::same_as<T, std::string>) {
    put_text(to, value);
  } else if constexpr (std::integral<T> && !std::same_as<T, bool>) {
    to += std::to_string(value);
  } else if constexpr (IsVector<T>::value) {
    to += '[';
    for (const auto& one : value) {
      put_value_text(to, one);
      to += ',';
    }
    close_text(to, ']');
  } else {
    to += Json(value).dump();
  }
}

/// As put_field does: an absent optional is left out. `key` has its quotes and the colon.
template <class T>
void put_field_text(std::string& to, std::string_view key, const T& value) {
  if constexpr (IsOptional<T>::value) {
    if (value) put_field_text(to, key, *value);
  } else {
    to += key;
    put_value_text(to, value);
    to += ',';
  }
}

/// Where a value that is being read goes: an object of any type, seen through what it can take.
struct Target {
  struct Kind {
    void (*take)(void* to, const Json& value);         ///< a whole value; throws where it does not fit
    void (*take_text)(void* to, std::string& value);   ///< nullptr: take() has strings too
    Target (*open)(void* to, bool array);              ///< empties it for its parts; nullptr: wants them as one
    Target (*field)(void* to, std::string_view name);  ///< of an opened object
    Target (*element)(void* to);                       ///< one more, of an opened array
  };
  void* to = nullptr;  ///< nullptr: nobody wants the value
  const Kind* kind = nullptr;
};

template <class T>
concept HasFields = requires(T& value) {
  k4t_json_field(value, std::string_view());
};

template <class T>
Target target_of(T& value);

template <class T>
void take_value(void* to, const Json& value) {
  get_value(value, *static_cast<T*>(to));
}

template <class T>
struct KindOf {
  static constexpr Target::Kind kind{&take_value<T>, nullptr, nullptr, nullptr, nullptr};
};

template <>
struct KindOf<std::string> {
  static constexpr Target::Kind kind{&take_value<std::string>,
                                     [](void* to, std::string& value) { static_cast<std::string*>(to)->swap(value); },
                                     nullptr, nullptr, nullptr};
};

template <HasFields T>
struct KindOf<T> {
  static Target open(void* to, bool array) {
    if (array) throw std::invalid_argument("expected an object");
    auto& value = *static_cast<T*>(to);
    value = T{};
    return target_of(value);
  }
  static Target field(void* to, std::string_view name) { return k4t_json_field(*static_cast<T*>(to), name); }
  static constexpr Target::Kind kind{&take_value<T>, nullptr, &open, &field, nullptr};
};

template <class T>
requires IsVector<T>::value struct KindOf<T> {
  static Target open(void* to, bool array) {
    if (!array) throw std::invalid_argument("expected an array");
    auto& values = *static_cast<T*>(to);
    values.clear();
    return target_of(values);
  }
  static Target element(void* to) { return target_of(static_cast<T*>(to)->emplace_back()); }
  static constexpr Target::Kind kind{&take_value<T>, nullptr, &open, nullptr, &element};
};

template <class T>
requires(IsOptional<T>::value &&
         (HasFields<typename T::value_type> || IsVector<typename T::value_type>::value)) struct KindOf<T> {
  static Target open(void* to, bool array) {
    const Target inner = target_of(static_cast<T*>(to)->emplace());
    return inner.kind->open(inner.to, array);
  }
  static constexpr Target::Kind kind{&take_value<T>, nullptr, &open, nullptr, nullptr};
};

template <class T>
Target target_of(T& value) {
  return {&value, &KindOf<T>::kind};
}

/// Reads the text into the target, whose other fields keep their values. Throws where it is no JSON or does not fit,
/// naming the field.
void fill(Target target, std::string_view text);

}  // namespace detail

template <class T>
std::string json_text(const T& value) {
  std::string text;
  detail::put_value_text(text, value);
  return text;
}

template <class T>
JsonText JsonText::of(const T& value) {
  JsonText made;
  try {
    made.text_ = json_text(value);
  } catch (const Json::exception&) {
    made = {};
    made.ok_ = false;
  }
  return made;
}

#if K4T_SDK_BODIES
K4T_SDK_INLINE JsonText::JsonText(const Json& json) : JsonText(of(json)) {}

namespace detail {

K4T_SDK_INLINE void put_text(std::string& to, std::string_view value) {
  const auto plain = [](char byte) { return byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\'; };
  for (const char byte : value) {
    if (plain(byte)) continue;
    to += Json(value).dump();
    return;
  }
  to += '"';
  to += value;
  to += '"';
}

K4T_SDK_INLINE void close_text(std::string& to, char with) {
  if (to.back() == ',') {
    to.back() = with;
  } else {
    to += with;
  }
}

/// Takes the parser's events.
class Filler {
 public:
  explicit Filler(Target root) : root_(root) {}

  bool null() { return scalar(nullptr); }
  bool boolean(bool value) { return scalar(value); }
  bool number_integer(std::int64_t value) { return scalar(value); }
  bool number_unsigned(std::uint64_t value) { return scalar(value); }
  bool number_float(double value, const std::string& /*text*/) { return scalar(value); }
  bool binary(Json::binary_t& value) { return scalar(Json(value)); }
  bool string(std::string& value) {
    const Target target = whole_.empty() ? wanted() : Target{};
    if (target.to == nullptr || target.kind->take_text == nullptr) return scalar_for(target, Json(value));
    target.kind->take_text(target.to, value);
    return true;
  }

  bool start_object(std::size_t /*size*/) { return start(false); }
  bool start_array(std::size_t /*size*/) { return start(true); }
  bool end_object() { return end(); }
  bool end_array() { return end(); }
  bool key(std::string& name) {
    if (!whole_.empty()) {
      whole_.back().key.swap(name);
      return true;
    }
    Open& object = open_.back();
    object.next = object.target.to == nullptr ? Target{} : object.target.kind->field(object.target.to, name);
    object.key.swap(name);
    return true;
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/, const Json::exception& error) {
    throw std::invalid_argument(error.what());
  }

  /// "records: name: ", the fields around the place that the parser has come to.
  [[nodiscard]] std::string path() const {
    std::string text;
    for (const auto& one : open_) text += one.key.empty() ? "" : one.key + ": ";
    return text;
  }

 private:
  struct Open {
    Target target;
    bool array = false;
    std::string key{};
    Target next{};  ///< of the last key
  };
  /// A level of a value that is wanted as one.
  struct Whole {
    Json* json;
    std::string key{};
  };

  Target wanted() {
    if (open_.empty()) return root_;
    const Open& top = open_.back();
    if (!top.array) return top.next;
    return top.target.to == nullptr ? Target{} : top.target.kind->element(top.target.to);
  }

  bool scalar(Json value) { return scalar_for(whole_.empty() ? wanted() : Target{}, std::move(value)); }
  bool scalar_for(const Target& target, Json value) {
    if (!whole_.empty()) {
      add_to_whole(std::move(value));
    } else if (target.to != nullptr) {
      target.kind->take(target.to, value);
    }
    return true;
  }

  Json* add_to_whole(Json value) {
    Whole& top = whole_.back();
    if (!top.json->is_array()) return &((*top.json)[top.key] = std::move(value));
    top.json->push_back(std::move(value));
    return &top.json->back();
  }

  bool start(bool array) {
    const auto empty = [array] { return array ? Json::array() : Json::object(); };
    if (!whole_.empty()) {
      whole_.push_back({add_to_whole(empty())});
      return true;
    }
    Target target = wanted();
    if (target.to != nullptr && target.kind->open == nullptr) {
      whole_target_ = target;
      whole_value_ = empty();
      whole_.push_back({&whole_value_});
      return true;
    }
    if (target.to != nullptr) target = target.kind->open(target.to, array);
    open_.push_back({target, array});
    return true;
  }

  bool end() {
    if (whole_.empty()) {
      open_.pop_back();
      return true;
    }
    whole_.pop_back();
    if (whole_.empty()) whole_target_.kind->take(whole_target_.to, whole_value_);
    return true;
  }

  Target root_;
  std::vector<Open> open_;
  std::vector<Whole> whole_;  ///< not empty: inside of a value that is wanted as one
  Target whole_target_;
  Json whole_value_;
};

K4T_SDK_INLINE void fill(Target target, std::string_view text) {
  Filler filler(target);
  try {
    Json::sax_parse(text, &filler);
  } catch (const std::exception& error) {
    throw std::invalid_argument(filler.path() + error.what());
  }
}

}  // namespace detail
#endif

}  // namespace k4t
