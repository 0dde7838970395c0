#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <span>
#include <tuple>
#include <vector>

#include "support/join_events.hpp"

namespace tensair::test {

/// A key and window: its key, its bounds, and the numbers of its records on both sides, sorted.
using Group = std::tuple<int, std::int64_t, std::int64_t, std::vector<int>, std::vector<int>>;

inline auto sorted_numbers(std::span<const JoinEvent> events) -> std::vector<int> {
  std::vector<int> numbers;
  for (const auto& event : events) numbers.push_back(event.number);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

inline auto naive_groups(const JoinInputs& inputs, const std::vector<KeyWindow>& windows) -> std::vector<Group> {
  std::vector<Group> all;
  for (const auto& window : windows) {
    std::vector<JoinEvent> left, right;
    std::copy_if(inputs.left.begin(), inputs.left.end(), std::back_inserter(left),
                 [&](const auto& one) { return window.has(one); });
    std::copy_if(inputs.right.begin(), inputs.right.end(), std::back_inserter(right),
                 [&](const auto& one) { return window.has(one); });
    if (left.empty() && right.empty()) continue;
    all.emplace_back(window.key, window.start, window.end, sorted_numbers(left), sorted_numbers(right));
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace tensair::test
