#pragma once

#include <charconv>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tensair/drift/detectors.hpp>
#include <tensair/error.hpp>
#include <type_traits>
#include <vector>

namespace detect {

/// The command line: which detector, its flags, and what to print.
struct Arguments {
  std::string detector;
  std::map<std::string, std::string> parameters;  ///< by name, dashes as underscores; "" for a flag without a value
  bool list = false, help = false, json = false, skip_bad = false;
};

/// @throws tensair::UsageError  something that is no flag, or a second detector
auto parse(const std::vector<std::string>& words) -> Arguments;

/// `--help`.
auto help() -> std::string;
/// `--list`: every detector with its parameters, for people or as JSON.
auto list(bool json) -> std::string;

/// Sets what was given on the command line.
/// @throws tensair::UsageError  the detector has no such parameter, or the value is none for it
template <tensair::drift::Parameters P>
void set(P& parameters, std::map<std::string, std::string> given) {
  P::each(parameters, [&](std::string_view name, auto& value, double, double, std::string_view) {
    using Value = std::remove_reference_t<decltype(value)>;
    const auto at = given.find(std::string{name});
    const auto no = given.find("no_" + std::string{name});
    if constexpr (std::same_as<Value, bool>) {
      if (no != given.end() && no->second.empty()) {
        value = false;
        given.erase(no);
      }
    }
    if (at == given.end()) return;
    const auto& text = at->second;
    bool taken = false;
    if constexpr (std::same_as<Value, bool>) {
      taken = text.empty() || text == "true" || text == "1" || text == "false" || text == "0";
      value = text.empty() || text == "true" || text == "1";
    } else {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      taken = error == std::errc{} && end == text.data() + text.size();
    }
    if (!taken) {
      constexpr std::string_view kind = std::same_as<Value, bool>   ? "true or false"
                                        : std::is_integral_v<Value> ? "a whole number"
                                                                    : "a number";
      throw tensair::UsageError{"«" + text + "» is no value", "--" + std::string{name},
                                "Give " + std::string{kind} + "."};
    }
    given.erase(at);
  });
  if (!given.empty())
    throw tensair::UsageError{std::string{P::Detector::name} + " has no parameter «" + given.begin()->first + "»", "",
                              "See detect --list."};
}

}  // namespace detect
