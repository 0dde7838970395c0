#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <tensair/operators/failures.hpp>
#include <tensair/operators/join_stage.hpp>
#include <tensair/operators/matched.hpp>
#include <tensair/operators/record_row.hpp>
#include <tensair/operators/window_stage.hpp>
#include <utility>

// Two streams in the same windows.
//
// It is a window operator whose records come from two sides and say from which, and whose value is the records of both:
// so windows of all kinds, lateness and late records are those of one stream. What meets is known when a window fires.

namespace tensair::operators {

/// A record on its way into a window, and its side.
template <Side side, class T>
struct SideRecord {
  const T& record;
};

/// Finds the key of a record of either side.
template <class Left, class Right>
struct KeyOfEither {
  [[no_unique_address]] Left left;
  [[no_unique_address]] Right right;

  template <class T>
  auto key(const SideRecord<Side::left, T>& from) -> decltype(auto) {
    return left.key(from.record);
  }
  template <class T>
  auto key(const SideRecord<Side::right, T>& from) -> decltype(auto) {
    return right.key(from.record);
  }
  template <class K>
  auto hash(const K& key) const -> std::uint64_t {
    return left.hash(key);
  }
};

/// The records of a key and window.
template <class L, class R>
struct BothSides {
  RecordRow<Owned<L>> left;
  RecordRow<Owned<R>> right;
};

/// The aggregate of windows with two sides: keeps all records.
template <class L, class R>
struct CollectBothSides {
  using State = BothSides<L, R>;

  static auto init() -> State { return {}; }
  static void add(State& all, const SideRecord<Side::left, L>& from) {
    all.left.push_back(OwnedRecord<L>::own(from.record));
  }
  static void add(State& all, const SideRecord<Side::right, R>& from) {
    all.right.push_back(OwnedRecord<R>::own(from.record));
  }
  static void merge(State& all, State other) {
    append(all.left, std::move(other.left));
    append(all.right, std::move(other.right));
  }
};

/// Every pair of a key and window, and the records without partner that are asked for.
template <Unmatched emitted, class L, class R>
struct MatchInWindow : CollectBothSides<L, R> {
  using Emitted = Matched<L, R>;

  template <class K, class Emit>
  static void emit(const K&, const Window&, BothSides<L, R>& all, Emit emit) {
    for (auto& kept : all.left) {
      with_record<L>(kept, [&](const L& left) {
        for (auto& other : all.right) with_record<R>(other, [&](const R& right) { emit(Emitted{&left, &right}); });
        if (may_lack_right<emitted> && all.right.empty()) emit(Emitted{&left, nullptr});
      });
    }
    if (!may_lack_left<emitted> || !all.left.empty()) return;
    for (auto& kept : all.right) with_record<R>(kept, [&](const R& right) { emit(Emitted{nullptr, &right}); });
  }
};

/// What a co-group sees of a key and window. Valid during the call.
template <class K, class L, class R>
struct CoGrouped {
  const Owned<K>* key;
  Window window;
  std::span<const L> left;
  std::span<const R> right;

  /// What is kept of them.
  template <class A, class Lefts, class Rights>
  requires(std::constructible_from<A, const Owned<K>&>) operator WindowResult<A, std::pair<Lefts, Rights>>() const {
    return {A(*key), window, {Lefts(left.begin(), left.end()), Rights(right.begin(), right.end())}};
  }
};

template <class KeyType, class L, class R>
struct GroupBothSides : CollectBothSides<L, R> {
  using Emitted = CoGrouped<KeyType, Owned<L>, Owned<R>>;

  template <class Emit>
  static void emit(const Owned<KeyType>& key, const Window& window, BothSides<L, R>& all, Emit emit) {
    emit(Emitted{&key, window, all.left, all.right});
  }
};

/// The stage of `co_group(f)`: calls `f(key, window, left records, right records, emit)`.
template <class Out, class F, class Next>
class CoGroupStage : public StageBase<Next> {
 public:
  CoGroupStage(plan::OperatorRef op, F f, Next next) : StageBase<Next>(std::move(next)), op_(op), f_(std::move(f)) {}

  template <class Groups, class Stamp>
  void operator()(const Groups& groups, Stamp stamp) {
    bool behind = false;  // what is thrown then is not the function's
    const auto emit = [this, stamp, &behind](Out out) {
      behind = true;
      this->next_(std::move(out), stamp);
      behind = false;
    };
    try {
      call(op_, f_, *groups.key, groups.window, groups.left, groups.right, emit);
    } catch (const LambdaThrew& threw) {
      if (behind) throw;
      const auto key = text_of_key(*groups.key);
      throw LambdaThrew(threw.operator_title(), threw.what(),
                        is_timed<Stamp> ? key + ", " + window_text(groups.window) : key);
    }
  }

 private:
  plan::OperatorRef op_;
  [[no_unique_address]] F f_;
};

/// The operator before it is bound to the stage behind it.
template <class Out, class F>
struct CoGroup {
  plan::OperatorRef op;
  F f;

  template <class Next>
  auto bind(Next next) && -> CoGroupStage<Out, F, Next> {
    return {op, std::move(f), std::move(next)};
  }
};

/// Late records of either side.
template <class Left, class Right>
class LateOfEither {
 public:
  LateOfEither(Left left, Right right) : left_(std::move(left)), right_(std::move(right)) {}

  void open(StageContext& context) {
    left_.open(context);
    right_.open(context);
  }
  template <class T>
  void take(SideRecord<Side::left, T> from, EventTime time) {
    left_.take(from.record, time);
  }
  template <class T>
  void take(SideRecord<Side::right, T> from, EventTime time) {
    right_.take(from.record, time);
  }
  void watermark(EventTime time) {
    left_.watermark(time);
    right_.watermark(time);
  }
  void idle() {
    left_.idle();
    right_.idle();
  }
  void flush() {
    left_.flush();
    right_.flush();
  }
  void finish() {
    left_.finish();
    right_.finish();
  }
  auto blocked() -> bool {
    const bool left = left_.blocked();  // asked in any case: it may go on when it is
    return right_.blocked() || left;
  }
  auto deadline() -> Time { return std::min(left_.deadline(), right_.deadline()); }
  void tick(Time now) {
    if (left_.deadline() <= now) left_.tick(now);
    if (right_.deadline() <= now) right_.tick(now);
  }

 private:
  Left left_;
  Right right_;
};

/// A window's stage with two inputs.
template <class L, class R, class WindowStage>
class TwoSidedWindowStage : public WindowStage {
 public:
  static constexpr bool watermark_of_left = false;

  explicit TwoSidedWindowStage(WindowStage stage) : WindowStage(std::move(stage)) {}

  template <class Stamp>
  void left(const L& record, Stamp stamp) {
    (*this)(SideRecord<Side::left, L>{record}, stamp);
  }
  template <class Stamp>
  void right(const R& record, Stamp stamp) {
    (*this)(SideRecord<Side::right, R>{record}, stamp);
  }
};

/// The operator before it is bound to the stage behind it. `Window` is a WindowOperator.
template <class L, class R, class Window>
struct TwoSidedWindow {
  Window window;

  template <class Next>
  auto bind(Next next) && {
    using Stage = decltype(std::move(window).bind(std::move(next)));
    return TwoSidedWindowStage<L, R, Stage>(std::move(window).bind(std::move(next)));
  }
};

}  // namespace tensair::operators
