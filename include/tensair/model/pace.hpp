#pragma once

#include <cstdint>
#include <span>
#include <tensair/runtime/clock.hpp>
#include <vector>

// Replicas that step at the same moments learn better than replicas that step at any moment.
//
// N replicas of one speed, left alone, step in turns: while one computes a gradient, each of the others finishes a step
// that this gradient has not seen. When they begin together, all of them start from the same parameters, and what they
// send each other arrives before the next step: nothing is late. The number of images is the same, the accuracy is not
// (docs/decisions/005-replicas-keep-pace.md).
//
// So a replica that has just finished a step waits for those that are about to finish one too, for a part of a step at
// most. To get into phase at all, the others fall back step by step until they begin with the first one: a phase-locked
// loop, in which after a few steps all wait only for what their speeds differ. It is not a barrier: a peer that is
// slower, gone, or never in time is not waited for.

namespace tensair {

/// When the last delta of a replica arrived, and how many of its steps had arrived then.
struct Arrival {
  Time last{};
  std::uint64_t steps = 0;
};

/// Decides when a replica begins its next step. A function of the times it is told; asks no clock.
class Pace {
 public:
  /// @param own       the replica's number
  /// @param patience  the longest wait, as a share of the time of a step; 0: never wait
  Pace(int replicas, int own, double patience);

  /// The replica has made a step.
  void stepped(Time began, Time ended);

  /// Until when to wait for deltas that are due; not later than `now` when the next step may begin. Ask again when
  /// something has arrived.
  /// @param arrivals  by replica
  auto wait_until(Time now, std::span<const Arrival> arrivals) -> Time;

 private:
  /// The median of the latest durations: one slow step, such as the first, does not count.
  class Typical {
   public:
    void add(Duration sample);
    auto value() const -> Duration { return median_; }  // zero: nothing added yet

   private:
    static constexpr std::size_t most = 9;
    std::vector<Duration> latest_;
    std::size_t oldest_ = 0;
    Duration median_{};
  };

  struct Peer {
    Arrival seen;
    Typical interval;  // between its steps
  };

  static void learn(Peer& peer, const Arrival& arrival);
  auto keeps_pace(const Peer& peer, Time now) const -> bool;
  void missed();

  std::vector<Peer> peers_;
  std::size_t own_;
  double patience_;
  Time ended_{};
  Typical step_;
  bool waiting_ = false;        // since `ended_`
  int misses_ = 0;              // waits in a row in which not everything came
  int pause_ = 0, next_pause_;  // steps without waiting
};

}  // namespace tensair
