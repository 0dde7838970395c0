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
// watermark has passed that, left ones up to t - lower for a right one.

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
    // A 64th of the time that records are kept: so much longer than need be they may stay.
    const std::int64_t width = add_saturated(upper_, -lower_) / 64;
    this->table_->template expiry<Side::left>().set_width(width);
    this->table_->template expiry<Side::right>().set_width(width);
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
    } else {
      drop();
    }
    this->next_.watermark(time);
  }

  auto deadline() -> Time { return due() ? Time::min() : this->next_.deadline(); }
  void tick(Time now) {
    if (due()) drop();
    if (this->next_.deadline() <= now) this->next_.tick(now);
  }

 private:
  // A record meets those of the other side from `from` to `to`; later ones no longer come once the watermark has passed
  // `to`.
  template <Side side, class T>
  void take(T&& record, std::int64_t time, std::int64_t from, std::int64_t to) {
    const auto& key = this->template function<side>().key(std::as_const(record));
    const auto hash = this->template hash_of<side>(key);
    if (time < watermark_) {
      late_->add(1);
      return;
    }
    if (!(key == key)) return;  // not a number: equals nothing
    auto* entry = this->table_->keys().find(key, hash);
    if (entry != nullptr) {
      this->template for_each<other_side<side>>(*entry, from, to, [&](const auto& other, std::int64_t other_time) {
        const EventTime stamp{EventTime::duration{std::max(time, other_time)}};
        this->template emit<side>(std::as_const(record), other, stamp);
      });
    }
    if (to >= watermark_) this->template keep<side>(entry, key, hash, std::forward<T>(record), time, to);
  }

  auto due() -> bool {
    return this->table_->template expiry<Side::left>().due(watermark_) ||
           this->table_->template expiry<Side::right>().due(watermark_);
  }
  void drop() {
    this->template drop<Side::left>(watermark_);
    this->template drop<Side::right>(watermark_);
  }
  using Base::drop;

  std::int64_t lower_, upper_;
  std::int64_t watermark_ = INT64_MIN;
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
