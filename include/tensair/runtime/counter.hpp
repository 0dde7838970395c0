#pragma once

#include <atomic>
#include <cstdint>

namespace tensair::runtime {

/// Something that a node counts for its report. Any thread.
class Counter {
 public:
  void add(std::uint64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  auto value() const -> std::uint64_t { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace tensair::runtime
