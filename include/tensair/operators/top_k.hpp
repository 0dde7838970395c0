#pragma once

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>
#include <vector>

namespace tensair::operators {

/// The aggregate of `top_k(n, by)`: the n records with the greatest `by(record)`, greatest first; of equal ones the
/// earlier.
template <class T, class F>
struct TopK {
  std::size_t n;
  F by;

  static auto init() -> std::vector<T> { return {}; }
  void add(std::vector<T>& top, const T& record) {
    if (top.size() == n && !precedes(record, top.back())) return;
    const auto place =
        std::upper_bound(top.begin(), top.end(), record, [this](const T& a, const T& b) { return precedes(a, b); });
    top.insert(place, record);
    if (top.size() > n) top.pop_back();
  }
  void merge(std::vector<T>& top, std::vector<T> other) {
    for (auto& record : other) add(top, record);
  }
  static auto result(const std::vector<T>& top) -> const std::vector<T>& { return top; }

 private:
  auto precedes(const T& a, const T& b) -> bool { return std::invoke(by, b) < std::invoke(by, a); }
};

}  // namespace tensair::operators
