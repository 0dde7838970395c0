#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <tensair/error.hpp>
#include <tensair/operators/batch.hpp>
#include <tensair/runtime/clock.hpp>
#include <utility>

namespace tensair {

/// When a batch is full: when it has so many records, or when its first one has waited for so long, or whichever comes
/// first.
struct BatchOptions {
  static constexpr std::size_t any_size = std::numeric_limits<std::size_t>::max();

  std::size_t size = any_size;        ///< records, at least 1
  Duration within = Duration::max();  ///< by the node's clock; exact to a turn of the task, about a millisecond
  bool drop_last = false;             ///< leave out what is left at the end, if it is less than `size`
};

namespace operators {

/// @throws UsageError  no record fits, or no batch would ever be full
inline auto checked(BatchOptions options, const std::string& after) -> BatchOptions {
  if (options.size == 0) throw UsageError("a batch of size 0", after, "A batch holds at least one record.");
  if (options.within <= Duration::zero())
    throw UsageError("a batch within no time", after, "Give a time of more than nothing, or leave it out.");
  if (options.size == BatchOptions::any_size && options.within == Duration::max())
    throw UsageError("a batch without size and time", after, "Say .size or .within, or both.");
  return options;
}

/// The stage of `stream.batch(options)`: as `BatchStage`, but that a batch may also be full by time.
template <class T, class Stamp, class Next>
class BatchWithinStage : public StageBase<Next> {
 public:
  /// @param cut  a watermark behind its records ends a batch: in a loop, which else would wait for it
  BatchWithinStage(BatchOptions options, bool cut, Next next)
      : StageBase<Next>(std::move(next)), options_(options), cut_(cut) {}

  void open(StageContext& context) {
    clock_ = &context.node.clock();
    this->next_.open(context);
  }
  void operator()(T record, Stamp stamp) {
    auto& records = batch_->records;
    if (records.empty() && options_.within != Duration::max()) due_ = clock_->now() + options_.within;
    if constexpr (is_timed<Stamp>) {
      earliest_ = std::min(earliest_, stamp);
      latest_ = std::max(latest_, stamp);
    }
    records.push_back(OwnedRecord<T>::own(std::move(record)));
    if (records.size() == options_.size) emit();
  }
  void watermark(EventTime time) {
    watermark_ = time;
    idle_ = false;
    if (cut_ && latest_ < time && !batch_->records.empty()) emit();
    this->next_.watermark(std::min(time, earliest_));
  }
  // Not while records wait here for their batch.
  void idle() {
    idle_ = true;
    if (batch_->records.empty()) this->next_.idle();
  }
  void finish() {
    if (options_.drop_last) batch_->records.clear();
    if (!batch_->records.empty()) emit();
    this->next_.finish();
  }
  auto deadline() -> Time { return std::min(due_, this->next_.deadline()); }
  void tick(Time now) {
    if (due_ <= now) emit();
    if (this->next_.deadline() <= now) this->next_.tick(now);
  }

 private:
  void emit() {
    due_ = never;
    auto batch = std::exchange(*batch_, {});
    if constexpr (is_timed<Stamp>) {
      earliest_ = end_of_time;
      this->next_(std::move(batch), std::exchange(latest_, beginning_of_time));
      this->next_.watermark(watermark_);
      if (idle_) this->next_.idle();
    } else {
      this->next_(std::move(batch), Untimed{});
    }
  }

  BatchOptions options_;
  bool cut_;
  const Clock* clock_ = nullptr;
  Fresh<Batch<Owned<T>>> batch_;
  Time due_ = never;
  bool idle_ = false;
  EventTime earliest_ = end_of_time, latest_ = beginning_of_time, watermark_ = beginning_of_time;
};

/// The operator before it is bound to the stage behind it.
template <class T, class Stamp>
struct BatchWithin {
  BatchOptions options;
  bool cut = false;

  template <class Next>
  auto bind(Next next) && -> BatchWithinStage<T, Stamp, Next> {
    return {options, cut, std::move(next)};
  }
};

}  // namespace operators
}  // namespace tensair
