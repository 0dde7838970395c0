#pragma once

#include <cstddef>
#include <iterator>
#include <type_traits>
#include <utility>
#include <vector>

namespace tensair::operators {

/// What `std::vector<bool>` is not: bools in a row.
class BoolRow {
 public:
  void push_back(bool value) { values_.push_back({value}); }
  void append(const BoolRow& others) { values_.insert(values_.end(), others.values_.begin(), others.values_.end()); }
  auto empty() const -> bool { return values_.empty(); }
  auto begin() -> bool* { return empty() ? nullptr : &values_.front().value; }
  auto end() -> bool* { return empty() ? nullptr : &values_.back().value + 1; }
  auto begin() const -> const bool* { return empty() ? nullptr : &values_.front().value; }
  auto end() const -> const bool* { return empty() ? nullptr : &values_.back().value + 1; }

 private:
  struct Bool {
    bool value;
  };
  static_assert(sizeof(Bool) == sizeof(bool));
  std::vector<Bool> values_;
};

/// Records that a span can be taken of.
template <class T>
using RecordRow = std::conditional_t<std::is_same_v<T, bool>, BoolRow, std::vector<T>>;

template <class T>
void append(std::vector<T>& all, std::vector<T> others) {
  all.insert(all.end(), std::move_iterator(others.begin()), std::move_iterator(others.end()));
}
inline void append(BoolRow& all, const BoolRow& others) {
  all.append(others);
}

}  // namespace tensair::operators
