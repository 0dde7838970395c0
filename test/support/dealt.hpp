#pragma once

#include <optional>
#include <utility>
#include <vector>

namespace tensair::test {

/// A source that deals records out to its parts, one after the other; in each part they stay in order.
template <class T>
class Dealt {
 public:
  using value_type = T;
  explicit Dealt(std::vector<T> all) : all_(std::move(all)) {}
  void split(int part, int parts) {
    next_ = static_cast<std::size_t>(part);
    step_ = static_cast<std::size_t>(parts);
  }
  auto next() -> std::optional<T> {
    if (next_ >= all_.size()) return std::nullopt;
    return all_[std::exchange(next_, next_ + step_)];
  }

 private:
  std::vector<T> all_;
  std::size_t next_ = 0, step_ = 1;
};

}  // namespace tensair::test
