#pragma once

#include <algorithm>
#include <memory>
#include <tensair/operators/join_stage.hpp>
#include <utility>

namespace tensair::operators {

/// The stage of a join without a window: a record meets all of its key that came before it from the other side and have
/// not outlived their side's time to live.
template <class K, class Left, class Right, class Stamp, class Next>
class RegularJoinStage : public JoinStage<K, Left, Right, Next> {
  using Base = JoinStage<K, Left, Right, Next>;
  template <Side side>
  static constexpr bool expires =
      std::same_as<typename std::conditional_t<side == Side::left, Left, Right>::Function::Lifetime, TimeToLive>;

 public:
  RegularJoinStage(plan::OperatorRef op, Left left, Right right, Next next)
      : Base(std::move(op), std::move(left), std::move(right), std::move(next)) {}

  void open(StageContext& context) {
    clock_ = &context.node.clock();
    prepare<Side::left>();
    prepare<Side::right>();
    Base::open(context);
  }

  // The clock is read once a chunk.
  void expect_left(std::vector<Owned<typename Left::Record>>& records) {
    read_clock();
    Base::expect_left(records);
  }
  void expect_right(std::vector<Owned<typename Right::Record>>& records) {
    read_clock();
    Base::expect_right(records);
  }

  template <class T>
  void left(T&& record, Stamp stamp) {
    take<Side::left>(std::forward<T>(record), stamp);
  }
  template <class T>
  void right(T&& record, Stamp stamp) {
    take<Side::right>(std::forward<T>(record), stamp);
  }

  auto deadline() -> Time {
    const auto first = std::min(this->table_->template expiry<Side::left>().first(),
                                this->table_->template expiry<Side::right>().first());
    return std::min(first == INT64_MAX ? never : Time{Duration{first}}, this->next_.deadline());
  }
  void tick(Time now) {
    this->template drop<Side::left>(now.time_since_epoch().count());
    this->template drop<Side::right>(now.time_since_epoch().count());
    if (this->next_.deadline() <= now) this->next_.tick(now);
  }

  void finish() {
    this->table_->clear();
    this->next_.finish();
  }

 private:
  template <Side side>
  auto lifetime() -> std::int64_t {
    return this->template function<side>().lifetime.duration.count();
  }
  template <Side side>
  void prepare() {
    if constexpr (expires<side>) this->table_->template expiry<side>().set_width(lifetime<side>() / 64);
  }
  void read_clock() {
    if constexpr (expires<Side::left> || expires<Side::right>) now_ = clock_->now().time_since_epoch().count();
  }

  template <Side side, class T>
  void take(T&& record, Stamp stamp) {
    const auto& key = this->template function<side>().key(std::as_const(record));
    const auto [hash, entry] = this->template find<side>(key);
    if (!(key == key)) return;  // not a number: equals nothing
    std::int64_t time = 0;
    if constexpr (is_timed<Stamp>) time = stamp.time_since_epoch().count();
    if (entry != nullptr) {
      this->template for_each<other_side<side>>(
          *entry, INT64_MIN, INT64_MAX, [&](const auto& other, std::int64_t other_time) {
            Stamp of_pair{};
            if constexpr (is_timed<Stamp>) of_pair = EventTime{EventTime::duration{std::max(time, other_time)}};
            this->template emit<side>(std::as_const(record), other, of_pair);
          });
    }
    std::int64_t expiry = Base::never_dropped;
    if constexpr (expires<side>) expiry = add_saturated(now_, lifetime<side>());
    this->template keep<side>(entry, key, hash, std::forward<T>(record), time, expiry);
  }

  const Clock* clock_ = nullptr;
  std::int64_t now_ = 0;
};

/// The operator before it is bound to the stage behind it.
template <class K, class Left, class Right, class Stamp>
struct RegularJoin {
  plan::OperatorRef op;
  Left left;
  Right right;

  template <class Next>
  auto bind(Next next) && -> RegularJoinStage<K, Left, Right, Stamp, Next> {
    return {op, std::move(left), std::move(right), std::move(next)};
  }
};

}  // namespace tensair::operators
