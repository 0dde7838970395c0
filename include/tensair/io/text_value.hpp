#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

// Values as text, for columns of CSV: numbers (std::from_chars, so no locale), bool, char, std::string, std::optional
// of these (nothing is the empty text), and any type with two functions in its own namespace:
//
//   auto from_text(std::string_view text, T& value) -> bool;  // false: the text is no T
//   void to_text(const T& value, std::string& text);          // appends

namespace tensair {

namespace detail {

template <class T>
inline constexpr bool is_optional_value = false;
template <class T>
inline constexpr bool is_optional_value<std::optional<T>> = true;

template <class T>
concept FromText = requires(std::string_view text, T& value) {
  { from_text(text, value) } -> std::convertible_to<bool>;
};
template <class T>
concept ToText = requires(const T& value, std::string& text) {
  to_text(value, text);
};

inline auto trimmed(std::string_view text) -> std::string_view {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace detail

/// Reads a value; blanks around a number or a bool are allowed. False when the text is no such value.
template <class T>
auto parse_value(std::string_view text, T& value) -> bool {
  if constexpr (detail::FromText<T>) {
    return from_text(text, value);
  } else if constexpr (detail::is_optional_value<T>) {
    if (text.empty()) {
      value.reset();
      return true;
    }
    return parse_value(text, value.emplace());
  } else if constexpr (std::is_same_v<T, std::string>) {
    value.assign(text);
    return true;
  } else if constexpr (std::is_same_v<T, bool>) {
    text = detail::trimmed(text);
    value = text == "true" || text == "1";
    return value || text == "false" || text == "0";
  } else if constexpr (std::is_same_v<T, char>) {
    if (text.size() != 1) return false;
    value = text.front();
    return true;
  } else {
    static_assert(std::is_arithmetic_v<T>,
                  "a column's type must be a number, bool, char, std::string, a std::optional of these, or have "
                  "from_text(std::string_view, T&) -> bool and to_text(const T&, std::string&) in its namespace");
    text = detail::trimmed(text);
    if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
  }
}

/// Appends a value's text: what `parse_value` reads back to the same value.
template <class T>
void print_value(const T& value, std::string& text) {
  if constexpr (detail::ToText<T>) {
    to_text(value, text);
  } else if constexpr (detail::is_optional_value<T>) {
    if (value) print_value(*value, text);
  } else if constexpr (std::is_same_v<T, std::string>) {
    text += value;
  } else if constexpr (std::is_same_v<T, bool>) {
    text += value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, char>) {
    text += value;
  } else {
    static_assert(std::is_arithmetic_v<T>, "a column's type has no text: see <tensair/io/text_value.hpp>");
    char digits[64];  // the shortest text that reads back: 24 characters for a double, 40 for a long double
    text.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  }
}

}  // namespace tensair
