#pragma once

#include <chrono>
#include <concepts>

namespace tensair {

/// When something happened, as the record says: microseconds on the system clock's axis. Not to be confused with
/// `Time`, which is the runtime's own.
using EventTime = std::chrono::sys_time<std::chrono::microseconds>;

/// The watermark of a stream that has ended: nothing can be late any more, everything is complete.
inline constexpr EventTime end_of_time = EventTime::max();
/// The watermark of a stream that has shown none yet.
inline constexpr EventTime beginning_of_time = EventTime::min();

namespace operators {

/// The stamp of records whose stream has no event time: nothing, so that it costs nothing.
struct Untimed {
  friend auto operator==(Untimed, Untimed) -> bool = default;
};

/// What travels beside a record: nothing, or its time.
template <class S>
concept StampType = std::same_as<S, Untimed> || std::same_as<S, EventTime>;

template <class Stamp>
inline constexpr bool is_timed = std::same_as<Stamp, EventTime>;

}  // namespace operators
}  // namespace tensair
