#pragma once

#include <algorithm>
#include <tensair/operators/lookahead.hpp>
#include <tensair/operators/short_row.hpp>
#include <tensair/operators/state_map.hpp>
#include <tensair/operators/timers.hpp>
#include <tensair/operators/trigger.hpp>
#include <tensair/operators/window_stage.hpp>
#include <type_traits>
#include <utility>
#include <vector>

// Windows that each key has for itself: sessions, and windows of any kind that emit early. For each key the stage keeps
// the windows that are not over, and one timer.
//
// A session that grows does not move its timer: when the timer comes too early, it is set anew. So a record of an open
// session costs one look-up. A record of overlapping windows is added to each of them, as each emits on its own; where
// nothing emits early, windows share slices instead (sliding_window.hpp).

namespace tensair::operators {

/// A window of a key. `fired`: its result has been emitted, and nothing has come since.
template <class State, class Pending>
struct KeyWindow {
  Window window;
  State state;
  bool fired = false;
  [[no_unique_address]] Pending pending{};
};

/// The windows of a key, by time, and when its timers are set for. With a small key and state all of it is a line of
/// memory. `HasEarlyTimer`: whether there is a second timer.
template <class One, bool HasEarlyTimer>
struct KeyWindows {
  ShortRow<One> windows{};
  EventTime timer = end_of_time;
};
template <class One>
struct KeyWindows<One, true> {
  ShortRow<One> windows{};
  EventTime timer = end_of_time;
  EventTime early_timer = end_of_time;
};

/// The stage of session windows, and of any windows (`Windows`) with an early trigger.
template <class Windows, class Parts, class Next>
class KeyWindowStage : public WindowStage<KeyWindowStage<Windows, Parts, Next>, Parts, Next> {
  using Base = WindowStage<KeyWindowStage, Parts, Next>;
  friend Base;
  using typename Base::Key;
  using typename Base::State;
  using Trigger = typename Parts::Trigger;
  using One = KeyWindow<State, typename Trigger::Pending>;
  using All = KeyWindows<One, Trigger::has_timer>;
  using Entry = typename StateMap<Key, All>::Entry;
  static constexpr bool merges = std::same_as<Windows, SessionWindows>;

 public:
  KeyWindowStage(Windows windows, Parts parts, Next next)
      : Base(std::move(parts), std::move(next)), windows_(windows) {}

  // What a LookaheadStage in front asks for.
  auto wants_lookahead() const -> bool { return keys_->size() * sizeof(Entry) > near_the_processor; }
  template <class R>
  auto expect(const R& record) -> std::uint64_t {
    const auto hash = this->hash_of(this->key_of(record));
    keys_->prefetch_slot(hash);
    return hash;
  }
  void fetch(std::uint64_t hash) {
    // An entry may lie across two lines of memory.
    if (const Entry* entry = keys_->expected(hash))
      __builtin_prefetch(reinterpret_cast<const char*>(entry) + sizeof(Entry) - 1);
  }

 private:
  template <class R>
  void take(R&& record, EventTime time) {
    this->check_time(time);
    if constexpr (merges) {
      take_in_session(std::forward<R>(record), time);
    } else {
      take_in_each(std::forward<R>(record), time);
    }
  }

  template <class R>
  void take_in_session(R&& record, EventTime time) {
    const auto& key = this->key_of(std::as_const(record));
    const auto hash = this->hash_of(key);
    const Window alone = windows_.window_of(time);
    auto* entry = keys_->find(key, hash);
    if (entry == nullptr || !overlaps_one(entry->value, alone)) {
      if (this->gone(alone.end)) {
        this->drop(std::forward<R>(record), time);
        return;
      }
      if (entry == nullptr) entry = &keys_->find_or_make(key, hash, [] { return All{}; });
    }
    try {
      const auto known = entry->value.windows.size();
      auto& session = session_of(entry->value.windows, alone);
      add_to(*entry, session, std::as_const(record), entry->value.windows.size() > known);
    } catch (...) {
      drop_if_empty(*entry, hash);
      throw;
    }
    set_timers(*entry);
  }

  template <class R>
  void take_in_each(R&& record, EventTime time) {
    const Window slice = windows_.slice_of(time);
    const Window last = windows_.last_window(slice);
    if (!last.contains(time)) return;  // in no window
    if (this->gone(last.end)) {
      this->drop(std::forward<R>(record), time);
      return;
    }
    const auto& key = this->key_of(std::as_const(record));
    const auto hash = this->hash_of(key);
    auto& entry = keys_->find_or_make(key, hash, [] { return All{}; });
    try {
      for (auto start = windows_.first_window(slice).start; start <= last.start; start += windows_.slide) {
        const Window window = windows_.window_at(start);
        if (this->gone(window.end)) continue;
        const auto known = entry.value.windows.size();
        auto& one = window_of(entry.value.windows, window);
        add_to(entry, one, std::as_const(record), entry.value.windows.size() > known);
      }
    } catch (...) {
      drop_if_empty(entry, hash);
      throw;
    }
    set_timers(entry);
  }

  // After a record that could not be added.
  void drop_if_empty(Entry& entry, std::uint64_t hash) {
    if (!entry.value.windows.empty()) {
      set_timers(entry);  // it may have been added to some
      return;
    }
    const auto key = entry.key;
    keys_->erase(key, hash);
  }

  template <class R>
  void add_to(Entry& entry, One& one, const R& record, bool is_new) {
    try {
      this->add(one.state, record);
    } catch (...) {
      if (is_new) entry.value.windows.erase(&one);  // a window with no record has no result
      throw;
    }
    one.fired = false;
    one.pending.add();
    if (one.window.end <= this->watermark_) {
      emit_one(entry, one);
      one.fired = true;
      return;
    }
    if constexpr (std::same_as<Trigger, EveryRecords>) {
      if (one.pending.records >= this->parts_.trigger.records) emit_one(entry, one);
    } else if constexpr (Trigger::has_timer) {
      if (one.pending.due == end_of_time) one.pending.due = this->processing_time() + this->parts_.trigger.time;
    }
  }

  // A window's result; what comes then is the same window's, or a new beginning.
  void emit_one(Entry& entry, One& one) {
    one.pending = {};
    this->emit(entry.key, one.window, one.state);
    if (this->parts_.discarding) one.state = this->new_state();
  }

  static auto overlap(const Window& a, const Window& b) -> bool { return a.start < b.end && b.start < a.end; }
  static auto overlaps_one(const All& all, const Window& window) -> bool {
    return std::any_of(all.windows.begin(), all.windows.end(),
                       [&](const auto& one) { return overlap(one.window, window); });
  }

  // The session that a record with this window belongs to, grown by it.
  auto session_of(decltype(All::windows)& all, const Window& alone) -> One& {
    auto first = all.begin();
    while (first != all.end() && first->window.end <= alone.start) ++first;
    if (first == all.end() || !overlap(first->window, alone)) return *all.insert(first, One{alone, this->new_state()});
    first->window = {std::min(first->window.start, alone.start), std::max(first->window.end, alone.end)};
    // A record lies within one gap of at most two sessions.
    const auto second = first + 1;
    if (second != all.end() && overlap(second->window, first->window)) {
      first->window.end = std::max(first->window.end, second->window.end);
      this->merge(first->state, std::move(second->state));
      first->pending.merge(second->pending);
      all.erase(second);
    }
    return *first;
  }
  auto window_of(decltype(All::windows)& all, const Window& window) -> One& {
    auto at = all.end();  // mostly the last one
    while (at != all.begin() && !((at - 1)->window < window)) --at;
    if (at == all.end() || at->window != window) at = all.insert(at, One{window, this->new_state()});
    return *at;
  }

  // When there is something to do for a window.
  auto due_of(const One& one) const -> EventTime {
    return one.fired ? one.window.end + this->parts_.lateness : one.window.end;
  }
  void set_timers(Entry& entry) {
    EventTime first = end_of_time;
    for (const auto& one : entry.value.windows) first = std::min(first, due_of(one));
    if (first < entry.value.timer) timers_->add(entry.value.timer = first, entry.key);
    if constexpr (Trigger::has_timer) {
      first = end_of_time;
      for (const auto& one : entry.value.windows) first = std::min(first, one.pending.due);
      if (first < entry.value.early_timer) early_timers_->add(entry.value.early_timer = first, entry.key);
    }
  }

  auto due() const -> EventTime { return timers_->first(); }

  auto fire() -> bool {
    while (timers_->due(this->watermark_)) {
      if (this->next_.blocked()) return false;
      if (timers_->first() == end_of_time) return true;
      // Fetches what comes next: watermarks go on in small steps, so few timers are due at a time.
      fire_one(timers_->take([this](const Owned<Key>& key, bool very_near) {
        const auto hash = this->hash_of(key);
        if (very_near) {
          fetch(hash);
        } else {
          keys_->prefetch_slot(hash);
        }
      }));
    }
    return true;
  }

  void fire_one(const typename Timers<EventTime, Key>::Timer& timer) {
    const auto hash = this->hash_of(timer.key);
    auto* entry = keys_->find(timer.key, hash);
    if (entry == nullptr || entry->value.timer != timer.time) return;  // an earlier one did it
    auto& windows = entry->value.windows;
    for (auto& one : windows) {
      if (one.fired || one.window.end > this->watermark_) continue;
      // What has been emitted already is not emitted as nothing.
      if (!this->parts_.discarding || one.pending.any()) emit_one(*entry, one);
      one.fired = true;
    }
    windows.erase(
        std::remove_if(windows.begin(), windows.end(), [&](const auto& one) { return this->gone(one.window.end); }),
        windows.end());
    if (windows.empty()) {
      keys_->erase(timer.key, hash);
      if constexpr (std::is_trivially_copyable_v<Owned<Key>>) {
        if (wants_lookahead()) keys_->prefetch_last();
      }
      return;
    }
    entry->value.timer = end_of_time;
    set_timers(*entry);
  }

  auto early_due() const -> EventTime { return early_timers_->first(); }

  // What is due early by `now`; false if the stage behind was blocked before all was done.
  auto fire_early(EventTime now) -> bool {
    if constexpr (Trigger::has_timer) {
      while (early_timers_->due(now)) {
        if (this->next_.blocked()) return false;
        const auto timer = early_timers_->take();
        auto* entry = keys_->find(timer.key, this->hash_of(timer.key));
        if (entry == nullptr || entry->value.early_timer != timer.time) continue;
        for (auto& one : entry->value.windows) {
          if (one.pending.due <= now) emit_one(*entry, one);
        }
        entry->value.early_timer = end_of_time;
        set_timers(*entry);
      }
    }
    return true;
  }

  Windows windows_;
  Fresh<StateMap<Key, All>> keys_;
  Fresh<Timers<EventTime, Key>> timers_;
  Fresh<Timers<EventTime, Key>> early_timers_;  // on the axis of processing time
};

/// The same, fetching ahead.
template <class Windows, class Parts, class Next>
class AheadKeyWindowStage : public LookaheadStage<typename Parts::Record, KeyWindowStage<Windows, Parts, Next>> {
  using Behind = KeyWindowStage<Windows, Parts, Next>;

 public:
  AheadKeyWindowStage(Windows windows, Parts parts, Next next)
      : LookaheadStage<typename Parts::Record, Behind>(Behind(windows, std::move(parts), std::move(next))) {}
};

/// Whether a window operator can fetch ahead.
template <class Parts>
inline constexpr bool window_looks_ahead = false;
template <class Parts>
requires(!std::is_void_v<typename Parts::Record> &&
         !Parts::processing_time) inline constexpr bool window_looks_ahead<Parts> =
    may_look_ahead<typename Parts::Record, (Parts::Function::template never_throws<typename Parts::Record> &&
                                            adding_is_safe<typename Parts::A, typename Parts::Record>)>;

}  // namespace tensair::operators
