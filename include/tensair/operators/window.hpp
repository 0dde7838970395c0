#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <tensair/error.hpp>
#include <tensair/operators/event_time.hpp>

// Windows of time, and the rules by which records get theirs.
//
// Tumbling and sliding windows are made of *slices* that no window's edge cuts: the windows of a record follow from
// its slice, so records are added up by slice and never by window. (Li et al., "No pane, no gain", SIGMOD Record 2005;
// Traub et al., "Scotty", EDBT 2019; the cut of slices
// is that of "paired windows", Krishnamurthy et al., SIGMOD 2006.)

namespace tensair {

/// A stretch of time: from `start` on, up to `end` without it.
struct Window {
  EventTime start{}, end{};

  auto contains(EventTime time) const -> bool { return start <= time && time < end; }
  /// The last time in it: what its results are stamped with.
  auto last() const -> EventTime { return end - std::chrono::microseconds{1}; }

  friend auto operator==(const Window&, const Window&) -> bool = default;
  friend auto operator<=>(const Window&, const Window&) = default;
};

/// Windows of one length, one beginning every `slide` (see `tumbling` and `sliding`).
struct SlidingWindows {
  std::chrono::microseconds size, slide, offset;

  /// The slice that a time lies in. There are two a slide, or one if the slide divides the size.
  auto slice_of(EventTime time) const -> Window {
    const EventTime start = floor(time);
    const EventTime cut = start + size % slide;
    if (cut == start) return {start, start + slide};
    return time < cut ? Window{start, cut} : Window{cut, start + slide};
  }
  /// The last window with this slice, if any has it: between windows that do not touch lie slices of none.
  auto last_window(const Window& slice) const -> Window { return window_at(floor(slice.start)); }
  /// The first one. The others begin `slide` after each other.
  auto first_window(const Window& slice) const -> Window { return first_window_to(slice.end); }
  /// The first window that ends at this time or later.
  auto first_window_to(EventTime end) const -> Window {
    return window_at(floor(end - size + slide - std::chrono::microseconds{1}));
  }
  auto window_at(EventTime start) const -> Window { return {start, start + size}; }

  auto describe() const -> std::string;

 private:
  auto floor(EventTime time) const -> EventTime {
    auto rest = (time.time_since_epoch() - offset) % slide;
    if (rest < rest.zero()) rest += slide;
    return time - rest;
  }
};

/// Windows of one length that follow upon each other.
struct TumblingWindows : SlidingWindows {};

/// Windows that end when nothing has come for a while: see `session`.
struct SessionWindows {
  std::chrono::microseconds gap;

  /// The session of a record that is alone.
  auto window_of(EventTime time) const -> Window { return {time, time + gap}; }
  auto describe() const -> std::string;
};

/// Windows of `size` each, every time in exactly one: from `offset` after 1970-01-01 00:00 UTC on, and before.
///
/// @code
/// clicks.key_by(&Click::page).window(tensair::tumbling(10s)).count();
/// @endcode
/// @throws UsageError  the size is not positive
auto tumbling(std::chrono::microseconds size, std::chrono::microseconds offset = {}) -> TumblingWindows;

/// Windows of `size`, one beginning every `slide`: a time is in several if they overlap, and may be in none if the
/// slide is longer.
///
/// @code
/// clicks.key_by(&Click::page).window(tensair::sliding(1min, 1s)).count();
/// @endcode
/// @throws UsageError  the size or the slide is not positive
auto sliding(std::chrono::microseconds size, std::chrono::microseconds slide, std::chrono::microseconds offset = {})
    -> SlidingWindows;

/// Sessions: a key's records that lie less than `gap` apart are in one window, which ends `gap` after the last. A
/// record that comes between two sessions makes them one.
///
/// @code
/// clicks.key_by(&Click::user).window(tensair::session(30min)).count();
/// @endcode
/// @throws UsageError  the gap is not positive
auto session(std::chrono::microseconds gap) -> SessionWindows;

}  // namespace tensair
