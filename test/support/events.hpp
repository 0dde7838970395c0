#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "support/streams.hpp"

namespace tensair::test {

struct Event {
  int key = 0;
  int value = 0;
  std::int64_t time = 0;  // µs
};

inline auto at(std::int64_t microseconds) -> EventTime {
  return EventTime{std::chrono::microseconds{microseconds}};
}
/// Of events of any kind.
inline constexpr auto time_of = [](const auto& event) { return at(event.time); };

/// Watermarks come from records with the key -1, and are their time.
inline auto with_marks(Pipeline& pipeline, const std::vector<Event>& all) {
  return pipeline.source(all)
      .assign_timestamps(time_of, punctuated([](const Event& event, EventTime) -> std::optional<EventTime> {
                           if (event.key != -1) return std::nullopt;
                           return at(event.time);
                         }))
      .filter([](const Event& event) { return event.key != -1; });
}
inline auto mark(std::int64_t time) -> Event {
  return {-1, 0, time};
}

}  // namespace tensair::test
