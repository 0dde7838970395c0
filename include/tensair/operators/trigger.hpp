#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <tensair/operators/event_time.hpp>

// Triggers: when a window emits besides at its end. As in the Dataflow model (Akidau et al., "The dataflow model", VLDB
// 2015), which also has the two ways to go on after that, accumulating and discarding.

namespace tensair::operators {

/// A window emits at its end only.
struct AtEndOfWindow {
  static constexpr bool is_early = false, has_timer = false;

  /// What a window knows for its trigger.
  struct Pending {
    static void add() {}
    static void merge(Pending) {}
    static auto any() -> bool { return true; }
  };
};

/// A window emits also after every `records` records that it has got.
struct EveryRecords {
  static constexpr bool is_early = true, has_timer = false;
  std::uint64_t records;

  struct Pending {
    std::uint64_t records = 0;  // since the last result

    void add() { ++records; }
    void merge(Pending other) { records += other.records; }
    auto any() const -> bool { return records > 0; }
  };
};

/// A window emits also when `time` of the node's clock has passed since the first record that no result has.
struct EveryTime {
  static constexpr bool is_early = true, has_timer = true;
  std::chrono::microseconds time;

  struct Pending {
    EventTime due = end_of_time;  // of the next early result, on the axis of processing time
    bool some = false;            // records since the last result

    void add() { some = true; }
    void merge(Pending other) {
      due = std::min(due, other.due);
      some = some || other.some;
    }
    auto any() const -> bool { return some; }
  };
};

}  // namespace tensair::operators
