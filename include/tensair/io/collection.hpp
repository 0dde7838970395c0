#pragma once

#include <optional>
#include <utility>
#include <vector>

namespace tensair {

/// A source that emits the elements of a vector, in order, on node 0. What `pipeline.source(vector)` makes.
template <class T>
class Collection {
 public:
  using value_type = T;

  explicit Collection(std::vector<T> records) : records_(std::move(records)) {}

  auto next() -> std::optional<T> {
    if (next_ == records_.size()) return std::nullopt;
    return std::move(records_[next_++]);
  }

 private:
  std::vector<T> records_;
  std::size_t next_ = 0;
};

}  // namespace tensair
