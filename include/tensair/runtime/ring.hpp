#pragma once

#include <cstddef>
#include <optional>
#include <tensair/cold.hpp>
#include <utility>
#include <vector>

namespace tensair::runtime {

/// A queue that keeps its memory: once it has been as long as it gets, nothing is allocated any more. (`std::deque`
/// allocates and frees a block every few hundred bytes that pass through it.)
template <class T>
class Ring {
 public:
  auto empty() const -> bool { return size_ == 0; }
  auto size() const -> std::size_t { return size_; }
  /// Precondition: `i < size()`
  auto operator[](std::size_t i) -> T& { return *slots_[(first_ + i) & (slots_.size() - 1)]; }
  /// Precondition of all three: it is not empty.
  auto front() -> T& { return *slots_[first_]; }
  auto back() -> T& { return (*this)[size_ - 1]; }
  void pop_front() {
    slots_[first_].reset();
    first_ = next(first_);
    --size_;
  }
  void push_back(T value) {
    if (size_ == slots_.size()) grow();
    slots_[(first_ + size_) & (slots_.size() - 1)].emplace(std::move(value));
    ++size_;
  }

 private:
  auto next(std::size_t slot) const -> std::size_t { return (slot + 1) & (slots_.size() - 1); }

  TENSAIR_COLD void grow() {
    std::vector<std::optional<T>> larger(slots_.empty() ? 4 : slots_.size() * 2);
    for (std::size_t i = 0, slot = first_; i < size_; ++i, slot = next(slot)) larger[i] = std::move(slots_[slot]);
    slots_ = std::move(larger);
    first_ = 0;
  }

  std::vector<std::optional<T>> slots_;  // a power of two, or none
  std::size_t first_ = 0, size_ = 0;
};

}  // namespace tensair::runtime
