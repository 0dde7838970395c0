#pragma once

#include <cstddef>
#include <tensair/operators/stage.hpp>
#include <vector>

namespace tensair {

/// Consecutive records that travel and are trained on together. Never empty.
template <class T>
struct Batch {
  using value_type = T;

  std::vector<T> records;

  auto begin() const { return records.begin(); }
  auto end() const { return records.end(); }
  auto size() const -> std::size_t { return records.size(); }
  auto operator[](std::size_t i) const -> const T& { return records[i]; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& records;
  }

  friend auto operator==(const Batch&, const Batch&) -> bool = default;
};

template <class T>
inline constexpr bool is_batch = false;
template <class T>
inline constexpr bool is_batch<Batch<T>> = true;

namespace operators {

/// The stage of `stream.batch(n)`: groups n records in order; the last batch holds what is left.
template <class T, class Next>
class BatchStage : public StageBase<Next> {
 public:
  BatchStage(std::size_t size, Next next) : StageBase<Next>(std::move(next)), size_(size) {}

  void operator()(T record) {
    if (batch_.records.empty()) batch_.records.reserve(size_);
    batch_.records.push_back(std::move(record));
    if (batch_.records.size() == size_) this->next_(std::exchange(batch_, {}));
  }

  void finish() {
    if (!batch_.records.empty()) this->next_(std::exchange(batch_, {}));
    this->next_.finish();
  }

 private:
  std::size_t size_;
  Batch<T> batch_;
};

/// The operator before it is bound to the stage behind it.
template <class T>
struct BatchOf {
  std::size_t size;

  template <class Next>
  auto bind(Next next) && -> BatchStage<T, Next> {
    return {size, std::move(next)};
  }
};

}  // namespace operators
}  // namespace tensair
