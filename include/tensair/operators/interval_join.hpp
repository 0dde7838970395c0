#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <tensair/operators/join_stage.hpp>
#include <utility>

// Interval join: a left record meets the right ones of its key whose time lies in an interval around its own. As
// Flink's (docs/dev/datastream/operators/joining): bounds are inclusive, a pair's time is the later one, late records
// are dropped.
//
// How long a record is kept: right records with a time up to t + upper may come for a left one of time t until the
// watermark has passed that, left ones up to t - lower for a right one. While the watermark goes on by a quarter of the
// bounds' distance all keys are looked at once, so records stay up to so much longer.

namespace tensair::operators {

/// The least and the greatest difference of a right record's time from a left one's.
struct JoinInterval {
  EventTime::duration lower, upper;
};

/// @throws UsageError  the lower bound is above the upper one
auto checked(JoinInterval interval) -> JoinInterval;
/// For the plan: "from -5000000 to 5000000 µs".
auto describe(JoinInterval interval) -> std::string;

/// The records that came after their watermark, in the figures. While opening.
auto count_late(runtime::Node& node, const plan::Operator& op) -> std::shared_ptr<runtime::Counter>;

template <class K, class Left, class Right, class Next>
class IntervalJoinStage : public JoinStage<K, Left, Right, Next> {
  using Base = JoinStage<K, Left, Right, Next>;

 public:
  IntervalJoinStage(plan::OperatorRef op, Left left, Right right, JoinInterval interval, Next next)
      : Base(std::move(op), std::move(left), std::move(right), std::move(next)),
        lower_(interval.lower.count()),
        upper_(interval.upper.count()) {}

  void open(StageContext& context) {
    late_ = count_late(context.node, *this->op_);
    Base::open(context);
  }

  template <class T>
  void left(T&& record, EventTime stamp) {
    const auto time = stamp.time_since_epoch().count();
    take<Side::left>(std::forward<T>(record), time, add_saturated(time, lower_), add_saturated(time, upper_));
  }
  template <class T>
  void right(T&& record, EventTime stamp) {
    const auto time = stamp.time_since_epoch().count();
    take<Side::right>(std::forward<T>(record), time, add_saturated(time, -upper_), add_saturated(time, -lower_));
  }

  void watermark(EventTime time) {
    watermark_ = time.time_since_epoch().count();
    if (time == end_of_time) {
      this->table_->clear();
      to_sweep_ = 0;
    } else {
      plan_sweep();
      sweep();
    }
    this->next_.watermark(time);
  }

  auto deadline() -> Time { return to_sweep_ > 0 ? Time::min() : this->next_.deadline(); }
  void tick(Time now) {
    sweep();
    if (this->next_.deadline() <= now) this->next_.tick(now);
  }

 private:
  // A record meets those of the other side from `from` to `to`; later ones no longer come once the watermark has passed
  // `to`.
  template <Side side, class T>
  void take(T&& record, std::int64_t time, std::int64_t from, std::int64_t to) {
    const auto& key = this->template function<side>().key(std::as_const(record));
    const auto [hash, entry] = this->template find<side>(key);
    if (time < watermark_) {
      late_->add(1);
      return;
    }
    if (!(key == key)) return;  // not a number: equals nothing
    if (entry != nullptr) {
      this->template for_each<other_side<side>>(*entry, from, to, [&](const auto& other, std::int64_t other_time) {
        const EventTime stamp{EventTime::duration{std::max(time, other_time)}};
        this->template emit<side>(std::as_const(record), other, stamp);
      });
    }
    if (to >= watermark_)
      this->template keep<side>(entry, key, hash, std::forward<T>(record), time, Base::never_dropped);
  }

  // A turn takes one chunk at most; it looks at several times as many keys.
  static constexpr std::size_t most_swept = 4096;

  // How many keys are to be looked at by now.
  void plan_sweep() {
    const std::size_t keys = this->table_->keys().size();
    const std::int64_t round = std::max<std::int64_t>(add_saturated(upper_, -lower_) / 4, 1);
    const std::int64_t passed = add_saturated(watermark_, -std::max(swept_until_, -INT64_MAX));
    if (passed <= 0) return;
    if (passed >= round) {
      to_sweep_ = keys;
    } else {
      const auto due = static_cast<std::size_t>(static_cast<double>(keys) * static_cast<double>(passed) /
                                                static_cast<double>(round));
      if (due < 64) return;  // few at a time would not be worth it
      to_sweep_ = std::min(to_sweep_ + due, keys);
    }
    swept_until_ = watermark_;
  }
  void sweep() {
    if (to_sweep_ == 0) return;
    const auto swept = Base::sweep(add_saturated(watermark_, -upper_), add_saturated(watermark_, lower_),
                                   std::min(to_sweep_, most_swept));
    to_sweep_ = std::min(to_sweep_ - std::min(swept, to_sweep_), this->table_->keys().size());
  }

  std::int64_t lower_, upper_;
  std::int64_t watermark_ = INT64_MIN, swept_until_ = INT64_MIN;
  std::size_t to_sweep_ = 0;
  std::shared_ptr<runtime::Counter> late_;
};

/// The operator before it is bound to the stage behind it.
template <class K, class Left, class Right>
struct IntervalJoin {
  plan::OperatorRef op;
  Left left;
  Right right;
  JoinInterval interval;

  template <class Next>
  auto bind(Next next) && -> IntervalJoinStage<K, Left, Right, Next> {
    return {op, std::move(left), std::move(right), interval, std::move(next)};
  }
};

}  // namespace tensair::operators
