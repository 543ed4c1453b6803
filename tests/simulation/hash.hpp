#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "txn/ports.hpp"

namespace k4t::simulation {

/// A 64-bit mark of a sequence of values: equal sequences have equal marks, and two different states sharing one is too
/// rare to matter to a search of some millions.
class Hash {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T> Hash& operator<<(T value) {
    mix(static_cast<std::uint64_t>(value));
    return *this;
  }
  Hash& operator<<(std::string_view text) {
    mix(std::hash<std::string_view>()(text));
    return *this;
  }
  Hash& operator<<(const std::string& text) { return *this << std::string_view(text); }
  Hash& operator<<(const model::Epoch& epoch) { return *this << epoch.counter << epoch.run; }
  Hash& operator<<(const model::Vote& vote) { return *this << vote.epoch << vote.version << vote.txn; }
  Hash& operator<<(const Register& held) { return *this << held.version << held.txn << held.writer; }
  Hash& operator<<(const model::WitnessRegister& held) {
    return *this << held.promised << held.holder << held.open << held.vote;
  }
  template <class T>
  Hash& operator<<(const std::optional<T>& value) {
    *this << value.has_value();
    if (value) *this << *value;
    return *this;
  }

  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  // The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
  void mix(std::uint64_t next) {
    std::uint64_t z = value_ + next + 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    value_ = z ^ (z >> 31U);
  }
  std::uint64_t value_ = 0;
};

}  // namespace k4t::simulation
