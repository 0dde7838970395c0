#pragma once

#include <chrono>
#include <optional>
#include <tensair/runtime/source.hpp>
#include <utility>
#include <vector>

namespace tensair::test {

/// A source, on node 0, of records that come at given times after its first turn, by the node's clock.
template <class T>
class OnSchedule {
 public:
  using value_type = T;
  explicit OnSchedule(std::vector<std::pair<std::chrono::milliseconds, T>> all) : all_(std::move(all)) {}

  void open(runtime::Node& node) { clock_ = &node.clock(); }
  auto poll() -> Poll<T> {
    if (next_ == all_.size()) return Poll<T>::end();
    if (!start_) start_ = clock_->now();
    const Time due = *start_ + all_[next_].first;
    if (clock_->now() < due) return Poll<T>::wait(due);
    return all_[next_++].second;
  }

 private:
  std::vector<std::pair<std::chrono::milliseconds, T>> all_;
  const Clock* clock_ = nullptr;
  std::optional<Time> start_;
  std::size_t next_ = 0;
};

}  // namespace tensair::test
