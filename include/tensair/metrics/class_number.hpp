#pragma once

#include <cstdint>
#include <string>
#include <tensair/error.hpp>
#include <type_traits>

namespace tensair::metrics {

/// A class as metrics take it: a whole number from 0 on, as of integers, `bool` and enumerations. Metrics keep
/// something for each class up to the greatest that they have seen, so numbers should be dense.
class ClassNumber {
 public:
  /// Class numbers are less than this.
  static constexpr std::int64_t most = std::int64_t{1} << 20;

  /// @throws Error  less than 0, or too great
  template <class T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) ClassNumber(T number)  // NOLINT(google-explicit-constructor)
      : number_(checked(static_cast<std::int64_t>(number))) {}

  auto index() const -> std::size_t { return number_; }
  friend auto operator==(ClassNumber, ClassNumber) -> bool = default;

 private:
  static auto checked(std::int64_t number) -> std::uint32_t {
    if (number < 0 || number >= most) refuse(number);
    return static_cast<std::uint32_t>(number);
  }
  [[noreturn]] static void refuse(std::int64_t number) {
    throw Error("class " + std::to_string(number) + " cannot be counted", "metrics",
                "Classes are whole numbers from 0 on and below " + std::to_string(most) + ": map yours to such.");
  }

  std::uint32_t number_;
};

}  // namespace tensair::metrics
