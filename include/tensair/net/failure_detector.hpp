#pragma once

#include <algorithm>
#include <tensair/runtime/clock.hpp>

namespace tensair::net {

/// Whether something that should be heard of from time to time has been silent for too long: a fixed time-out.
///
/// It counts only time in which this node was awake to listen: it is to be asked once a `beat`, and what passes between
/// two questions counts for two beats at most. So a node that was stopped for a minute, or whose clock jumped, does not
/// take its peers for dead, and hears first what has arrived meanwhile.
class FailureDetector {
 public:
  /// @param beat      how often `suspects` will be called, > 0
  /// @param patience  how long silence is no reason to suspect
  FailureDetector(Duration beat, Duration patience, Time now) : beat_(beat), patience_(patience), asked_(now) {}

  /// Something was heard.
  void heard() { silence_ = Duration::zero(); }

  /// Whether nothing has been heard for longer than the patience.
  auto suspects(Time now) -> bool {
    silence_ += std::clamp<Duration>(now - asked_, Duration::zero(), 2 * beat_);
    asked_ = now;
    return silence_ > patience_;
  }

 private:
  Duration beat_, patience_;
  Duration silence_ = Duration::zero();
  Time asked_;
};

}  // namespace tensair::net
