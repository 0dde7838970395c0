#pragma once

#include <algorithm>
#include <memory>
#include <tensair/operators/state_map.hpp>
#include <tensair/operators/window_stage.hpp>
#include <utility>
#include <vector>

// Tumbling and sliding windows: one map of keys a slice.
//
// A record is added to the state of its key in its slice, whatever the number of windows that have the slice; and when
// a slice is over, its keys go with it. A tumbling window is one slice. The value of a sliding window is put together
// of its slices by two stacks (Tangwongsan et al., "General incremental sliding-window aggregation", VLDB 2015, after
// Okasaki's queue): `front_` has for each older slice the value of all from it on up to a boundary, `back_` that of
// those behind the boundary. So a window's value is one merge, a slice is merged about twice in its life, and nothing
// needs an inverse.
//
// A record that comes after its slice has been merged is added to what it was merged into, too.

namespace tensair::operators {

/// One slice, and what is known of each key in it.
template <class K, class State>
struct WindowSlice {
  Window span;
  StateMap<K, State> states{};
};

/// The stage of tumbling windows (`Windows` is `TumblingWindows`) and sliding ones (`SlidingWindows`).
template <class Windows, class Parts, class Next>
class SlidingWindowStage : public WindowStage<SlidingWindowStage<Windows, Parts, Next>, Parts, Next> {
  using Base = WindowStage<SlidingWindowStage, Parts, Next>;
  friend Base;
  using typename Base::Key;
  using typename Base::State;
  using Map = StateMap<Key, State>;
  using Slice = WindowSlice<Key, State>;
  static constexpr bool is_tumbling = std::same_as<Windows, TumblingWindows>;
  static_assert(is_tumbling || std::copy_constructible<State>,
                "slices of sliding windows are in several windows: the aggregate's state must be copyable");

 public:
  SlidingWindowStage(Windows windows, Parts parts, Next next)
      : Base(std::move(parts), std::move(next)), windows_(windows) {}

 private:
  struct Suffix {
    EventTime start;
    std::unique_ptr<Map> states;
  };

  template <class R>
  void take(R&& record, EventTime time) {
    if (current_ != nullptr && current_->span.contains(time)) [[likely]] {
      add_to(*current_, std::as_const(record));
    } else {
      take_elsewhere(std::forward<R>(record), time);
    }
  }

  template <class R>
  auto add_to(Slice& slice, const R& record) -> typename Map::Entry& {
    const auto& key = this->key_of(record);
    const auto hash = this->hash_of(key);
    const auto known = slice.states.size();
    auto& entry = slice.states.find_or_make(key, hash, [&] { return this->new_state(); });
    try {
      this->add(entry.value, record);
    } catch (...) {
      if (slice.states.size() > known) slice.states.erase(key, hash);  // a key with no record has no result
      throw;
    }
    return entry;
  }

  // Any record but those in the slice of the one before.
  template <class R>
  [[gnu::noinline]] void take_elsewhere(R&& record, EventTime time) {
    this->check_time(time);
    const Window span = windows_.slice_of(time);
    const Window last = windows_.last_window(span);
    if (!last.contains(time)) return;  // in no window
    if (this->gone(last.end)) {
      this->drop(std::forward<R>(record), time);
      return;
    }
    const std::size_t at = find(span);
    const bool known = at < slices_->size() && (*slices_)[at]->span == span;
    const auto place = [&] { return slices_->begin() + static_cast<std::ptrdiff_t>(at); };
    if (!known) slices_->insert(place(), empty_slice(span));
    auto& slice = *(*slices_)[at];
    typename Map::Entry* added = nullptr;
    try {
      added = &add_to(slice, std::as_const(record));
    } catch (...) {
      if (!known) slices_->erase(place());
      throw;
    }
    auto& entry = *added;
    const auto open = first_open();
    if (span.end > this->watermark_) {
      current_ = &slice;
    } else {
      if constexpr (!is_tumbling) add_late(span, known, std::as_const(record));
      update(entry.key, span, std::min(open, last.start + windows_.slide));
    }
    if (open <= last.start) next_start_ = std::min(next_start_, std::max(open, windows_.first_window(span).start));
    if (!known) set_due();
  }

  // The start of the first window that ends after the watermark.
  auto first_open() const -> EventTime {
    const auto past = std::clamp(this->watermark_, EventTime{-2 * most_remote}, EventTime{2 * most_remote});
    return windows_.first_window_to(past + std::chrono::microseconds{1}).start;
  }

  // The windows that have fired and are not gone fire once more, for one key.
  void update(const Owned<Key>& key, const Window& span, EventTime up_to) {
    const auto not_fired = cursor_ + back_cursor_ > 0 ? next_start_ + windows_.slide : next_start_;
    for (auto start = windows_.first_window(span).start; start < std::min(up_to, not_fired); start += windows_.slide) {
      const Window window = windows_.window_at(start);
      if (this->gone(window.end)) continue;
      if constexpr (is_tumbling) {
        this->emit(key, window, (*slices_)[find(span)]->states.find(key, this->hash_of(key))->value);
      } else {
        auto state = this->new_state();
        bool merged = true;
        for (std::size_t i = find(window); merged && i < slices_->size() && (*slices_)[i]->span.end <= window.end;
             ++i) {
          const auto* part = (*slices_)[i]->states.find(key, this->hash_of(key));
          if (part != nullptr) merged = this->merge_for(key, window, state, part->value);
        }
        if (merged) this->emit(key, window, state);
      }
    }
  }

  // To what the slice has been merged into.
  template <class R>
  void add_late(const Window& span, bool known, const R& record) {
    if (span.end > merged_until_) return;
    if (!known) {  // the stacks have no place for it
      stale_ = true;
      return;
    }
    const auto add = [&](Map& states) {
      const auto& key = this->key_of(record);
      this->add(states.find_or_make(key, this->hash_of(key), [&] { return this->new_state(); }).value, record);
    };
    if (!front_->empty() && span.start >= boundary_) add(*back_);
    for (auto& suffix : *front_) {
      if (suffix.start <= span.start && span.start < boundary_) add(*suffix.states);
    }
  }

  /// The first slice that begins where `span` does or later.
  auto find(const Window& span) const -> std::size_t {
    const auto before = [](const auto& slice, const Window& one) { return slice->span.start < one.start; };
    return static_cast<std::size_t>(std::lower_bound(slices_->begin(), slices_->end(), span, before) -
                                    slices_->begin());
  }

  auto empty_slice(const Window& span) -> std::unique_ptr<Slice> {
    if (spare_->empty()) return std::make_unique<Slice>(Slice{span});
    auto slice = std::move(spare_->back());
    spare_->pop_back();
    slice->span = span;
    return slice;
  }

  auto due() const -> EventTime { return due_; }
  void set_due() {
    EventTime first = next_start_ == end_of_time ? end_of_time : next_start_ + windows_.size;
    if (!slices_->empty()) first = std::min(first, end_of(*slices_->front()));
    due_ = first;
  }
  // When the last window with the slice is gone.
  auto end_of(const Slice& slice) const -> EventTime {
    return windows_.last_window(slice.span).end + this->parts_.lateness;
  }

  auto fire() -> bool {
    current_ = nullptr;
    while (next_start_ != end_of_time && next_start_ + windows_.size <= this->watermark_) {
      if (cursor_ == 0 && !put_together_ && !skip_empty_windows()) break;
      if (!fire_one(windows_.window_at(next_start_))) return false;
      cursor_ = back_cursor_ = 0;
      put_together_ = false;
      next_start_ += windows_.slide;
      give_up();
    }
    if (slices_->empty() || windows_.last_window(slices_->back()->span).start < next_start_) next_start_ = end_of_time;
    give_up();
    set_due();
    return true;
  }

  // False if no window is due; else the next one has a slice.
  auto skip_empty_windows() -> bool {
    const std::size_t at = find(windows_.window_at(next_start_));
    if (at == slices_->size()) return false;
    next_start_ = std::max(next_start_, windows_.first_window((*slices_)[at]->span).start);
    return next_start_ + windows_.size <= this->watermark_;
  }

  // A slice is given up when no window needs it, fired or not.
  void give_up() {
    std::size_t n = 0;
    while (n < slices_->size() && end_of(*(*slices_)[n]) <= this->watermark_ &&
           windows_.last_window((*slices_)[n]->span).start < next_start_)
      ++n;
    for (std::size_t i = 0; i < n && spare_->size() < most_spare; ++i) {
      (*slices_)[i]->states.clear();
      spare_->push_back(std::move((*slices_)[i]));
    }
    slices_->erase(slices_->begin(), slices_->begin() + static_cast<std::ptrdiff_t>(n));
  }

  auto fire_one(const Window& window) -> bool {
    if constexpr (is_tumbling) {
      auto& states = (*slices_)[find(window)]->states;
      for (; cursor_ < states.size(); ++cursor_) {
        if (this->next_.blocked()) return false;
        auto& entry = states.at(cursor_);
        this->emit(entry.key, window, entry.value);
      }
    } else {
      if (!std::exchange(put_together_, true)) put_together(window);
      auto& older = *front_->back().states;
      for (; cursor_ < older.size(); ++cursor_) {
        if (this->next_.blocked()) return false;
        auto& entry = older.at(cursor_);
        auto state = entry.value;
        const auto* newer = back_->find(entry.key, this->hash_of(entry.key));
        if (newer != nullptr && !this->merge_for(entry.key, window, state, newer->value)) continue;
        this->emit(entry.key, window, state);
      }
      for (; back_cursor_ < back_->size(); ++back_cursor_) {
        if (this->next_.blocked()) return false;
        auto& entry = back_->at(back_cursor_);
        if (older.find(entry.key, this->hash_of(entry.key)) == nullptr) this->emit(entry.key, window, entry.value);
      }
    }
    return true;
  }

  // Brings the stacks to this window, which has a slice.
  void put_together(const Window& window) {
    if (std::exchange(stale_, false)) front_->clear();
    while (!front_->empty() && front_->back().start < window.start) front_->pop_back();
    std::size_t end = find(window);
    const std::size_t begin = end;
    while (end < slices_->size() && (*slices_)[end]->span.end <= window.end) ++end;
    if (front_->empty()) {
      back_->clear();
      for (std::size_t i = end; i-- > begin;) {
        auto states = std::make_unique<Map>();
        merge_all(window, *states, (*slices_)[i]->states);
        if (!front_->empty()) merge_all(window, *states, *front_->back().states);
        front_->push_back({(*slices_)[i]->span.start, std::move(states)});
      }
      boundary_ = window.end;
    } else {
      for (std::size_t i = begin; i < end; ++i) {
        if ((*slices_)[i]->span.end > merged_until_) merge_all(window, *back_, (*slices_)[i]->states);
      }
    }
    merged_until_ = window.end;
  }

  // What cannot be merged is missing from this window and those after it that have both slices.
  void merge_all(const Window& window, Map& into, Map& newer) {
    for (std::size_t i = 0; i < newer.size(); ++i) {
      auto& entry = newer.at(i);
      const auto hash = this->hash_of(entry.key);
      if (auto* found = into.find(entry.key, hash)) {
        this->merge_for(entry.key, window, found->value, entry.value);
      } else {
        into.find_or_make(entry.key, hash, [&]() -> State { return entry.value; });
      }
    }
  }

  static constexpr std::size_t most_spare = 4;

  Windows windows_;
  Fresh<std::vector<std::unique_ptr<Slice>>> slices_;  // by time
  Fresh<std::vector<std::unique_ptr<Slice>>> spare_;   // empty, but with tables of some size
  Slice* current_ = nullptr;  // where the next record belongs, most likely; not after the watermark has reached it
  EventTime due_ = end_of_time;
  EventTime next_start_ = end_of_time;  // of the next window to fire
  std::size_t cursor_ = 0;              // how many of its keys have been emitted
  // Of sliding windows only.
  Fresh<std::vector<Suffix>> front_;  // the oldest slice is the last
  Fresh<Map> back_;
  std::size_t back_cursor_ = 0;
  EventTime boundary_ = beginning_of_time;      // front_ is before it
  EventTime merged_until_ = beginning_of_time;  // slices up to here are in the stacks
  bool put_together_ = false;                   // for the window that is firing
  bool stale_ = false;                          // the stacks lack a slice
};

}  // namespace tensair::operators
