#pragma once

#include <algorithm>
#include <string_view>

namespace tensair::detail {

inline constexpr auto device_names = "cpu, cuda, cuda:N or auto";

/// The CPU, treated as a GPU is: so what a model does on a device is tested where there is none.
inline constexpr auto cpu_as_device = "cpu:0";

/// Whether it is one of these, whatever devices there are.
inline auto is_device_name(std::string_view text) -> bool {
  if (text == "cpu" || text == "cuda" || text == "auto" || text == cpu_as_device) return true;
  constexpr std::string_view numbered = "cuda:";
  if (!text.starts_with(numbered)) return false;
  const auto number = text.substr(numbered.size());
  return !number.empty() && number.size() <= 2 &&
         std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace tensair::detail
