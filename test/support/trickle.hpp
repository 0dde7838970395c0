#pragma once

#include <chrono>
#include <tensair/runtime/source.hpp>
#include <utility>
#include <vector>

namespace tensair::test {

/// A source that deals records out to its parts, each in order, and gives only some in a turn of its task.
template <class T>
class Trickle {
 public:
  using value_type = T;
  Trickle(std::vector<T> all, int records_a_turn) : all_(std::move(all)), records_a_turn_(records_a_turn) {}

  void split(int part, int parts) {
    next_ = static_cast<std::size_t>(part);
    step_ = static_cast<std::size_t>(parts);
  }
  void open(runtime::Node& node) { clock_ = &node.clock(); }
  auto poll() -> Poll<T> {
    if (next_ >= all_.size()) return Poll<T>::end();
    if (given_ == records_a_turn_) {
      given_ = 0;
      return Poll<T>::wait(clock_->now() + std::chrono::microseconds{1});
    }
    ++given_;
    return all_[std::exchange(next_, next_ + step_)];
  }

 private:
  std::vector<T> all_;
  std::size_t next_ = 0, step_ = 1;
  int records_a_turn_, given_ = 0;
  const Clock* clock_ = nullptr;
};

}  // namespace tensair::test
