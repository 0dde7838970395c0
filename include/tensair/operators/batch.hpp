#pragma once

#include <algorithm>
#include <cstddef>
#include <tensair/net/codec.hpp>
#include <tensair/operators/owned.hpp>
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
  auto operator[](std::size_t i) const -> decltype(auto) { return records[i]; }

  template <class Archive>
  requires net::Encodable<T>
  void serialize(Archive& archive, unsigned) { archive& records; }

  friend auto operator==(const Batch&, const Batch&) -> bool = default;
};

template <class T>
inline constexpr bool is_batch = false;
template <class T>
inline constexpr bool is_batch<Batch<T>> = true;

namespace operators {

/// The stage of `stream.batch(n)`: groups n records in order; the last batch holds what is left. A batch has the time
/// of its latest record, and the watermark waits for records that do.
template <class T, class Stamp, class Next>
class BatchStage : public StageBase<Next> {
 public:
  /// @param cut  a watermark behind its records ends a batch: in a loop, which else would wait for it
  BatchStage(std::size_t size, bool cut, Next next) : StageBase<Next>(std::move(next)), size_(size), cut_(cut) {}

  void operator()(T record, Stamp stamp) {
    auto& records = batch_->records;
    if (records.empty()) records.reserve(size_);
    if constexpr (is_timed<Stamp>) {
      earliest_ = std::min(earliest_, stamp);
      latest_ = std::max(latest_, stamp);
    }
    records.push_back(OwnedRecord<T>::own(std::move(record)));
    if (records.size() == size_) emit();
  }

  void watermark(EventTime time) {
    watermark_ = time;
    if (cut_ && latest_ < time && !batch_->records.empty()) emit();
    this->next_.watermark(std::min(time, earliest_));
  }

  void finish() {
    if (!batch_->records.empty()) emit();
    this->next_.finish();
  }

 private:
  void emit() {
    auto batch = std::exchange(*batch_, {});
    if constexpr (is_timed<Stamp>) {
      earliest_ = end_of_time;
      this->next_(std::move(batch), std::exchange(latest_, beginning_of_time));
      this->next_.watermark(watermark_);
    } else {
      this->next_(std::move(batch), Untimed{});
    }
  }

  std::size_t size_;
  bool cut_;
  Fresh<Batch<Owned<T>>> batch_;
  EventTime earliest_ = end_of_time, latest_ = beginning_of_time, watermark_ = beginning_of_time;
};

/// The operator before it is bound to the stage behind it.
template <class T, class Stamp>
struct BatchOf {
  std::size_t size;
  bool cut = false;

  template <class Next>
  auto bind(Next next) && -> BatchStage<T, Stamp, Next> {
    return {size, cut, std::move(next)};
  }
};

}  // namespace operators
}  // namespace tensair
