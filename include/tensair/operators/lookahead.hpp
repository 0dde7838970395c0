#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <tensair/operators/owned.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/runtime/ring.hpp>
#include <type_traits>
#include <utility>

// With a million keys a keyed operator waits for memory, twice a record: for the slot that says where the key's state
// lies, and for the state. Which ones it will need is known from the records that come next. So the stage in front of
// it holds back a few records, and fetches meanwhile what they are for: then many of them wait together.
//
// This is worth it only when the states are many more than fit near the processor; the operator says so at the end of
// each turn. No record is held back beyond a turn. What is held back comes through in order, watermarks among it.

namespace tensair::operators {

/// Whether records of type T may be held back in front of an operator that must not throw on them (`nothrow`): what it
/// throws would belong to another record than the one that comes.
template <class T, bool nothrow>
inline constexpr bool may_look_ahead = nothrow&& std::is_trivially_copyable_v<T> && sizeof(T) <= 64 && !is_view<T>;

/// Holds records back. `Next` has `wants_lookahead()`; `expect(record)`, which returns the key's hash and fetches the
/// slot; and `fetch(hash)`, which fetches the state.
template <class T, class Next>
class LookaheadStage : public StageBase<Next> {
 public:
  using StageBase<Next>::StageBase;

  template <class R>
  void operator()(R&& record, EventTime time) {
    if (!active_) {
      this->next_(std::forward<R>(record), time);
      return;
    }
    held_->push_back({record, time, this->next_.expect(std::as_const(record))});
    if (held_->size() <= distance / 2) return;
    this->next_.fetch((*held_)[held_->size() - 1 - distance / 2].hash);
    if (held_->size() > distance && !this->next_.blocked()) let_go();
  }

  void watermark(EventTime time) {
    if (held_->empty()) {
      this->next_.watermark(time);
    } else {
      held_->back().watermark = time;
      held_->back().idle = false;
    }
  }
  void idle() {
    if (held_->empty()) {
      this->next_.idle();
    } else {
      held_->back().idle = true;
    }
  }
  void flush() {
    drain();
    this->next_.flush();
    if (!held_->empty()) {
      drain();
      this->next_.flush();
    }
    if (held_->empty()) active_ = this->next_.wants_lookahead();
  }
  void finish() {
    finishing_ = true;
    drain();
  }
  auto blocked() -> bool { return this->next_.blocked() || (finishing_ && !ended_); }

 private:
  // As many cache misses as a processor has under way at a time, and some.
  static constexpr std::size_t distance = 24;

  struct Held {
    T record;
    EventTime time;
    std::uint64_t hash;
    std::optional<EventTime> watermark{};  // that came behind it
    bool idle = false;
  };

  void let_go() {
    const Held first = std::move(held_->front());
    held_->pop_front();
    this->next_(first.record, first.time);
    if (first.watermark) this->next_.watermark(*first.watermark);
    if (first.idle) this->next_.idle();
  }
  void drain() {
    while (!held_->empty() && !this->next_.blocked()) let_go();
    if (finishing_ && held_->empty() && !std::exchange(ended_, true)) this->next_.finish();
  }

  Fresh<runtime::Ring<Held>> held_;
  bool active_ = false, finishing_ = false, ended_ = false;
};

}  // namespace tensair::operators
