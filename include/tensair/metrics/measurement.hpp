#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <tensair/operators/event_time.hpp>

namespace tensair {

/// What a metric said at some point of a stream: what `stream.measure(…)` emits.
struct Measurement {
  std::uint64_t index = 0;             ///< records measured until then, of this key where there are keys
  EventTime time = beginning_of_time;  ///< the latest of their event times; without event time `beginning_of_time`
  std::string name{};                  ///< the metric's, as "kappa (last 1000)"
  double value = 0;                    ///< NaN while it is not defined: see `defined`

  /// Whether there is a value. What cannot take NaN filters by it.
  ///
  /// @code
  /// forecasts.measure({.every = 100}, tensair::metrics::R2{}).filter(&tensair::Measurement::defined).sink(print);
  /// @endcode
  auto defined() const -> bool { return !std::isnan(value); }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& index& time& name& value;
  }
};

/// When a stream's metrics are read.
struct MeasureOptions {
  std::uint64_t every = 0;  ///< after so many records more, of a key where there are keys; 0: only at the end
};

}  // namespace tensair
