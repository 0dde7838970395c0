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
// So replicas of like speed step in rounds. A step's round is one more than the highest round anybody is known to have
// finished, and every delta says its round. Who has finished a round waits for those who have not: whenever and
// wherever replicas begin, they begin together from the second step on. It is not a barrier: no wait is longer than a
// step, a peer that is gone or of another speed is not waited for, and one that costs more time than it is worth is
// left alone for longer and longer. (Rounds are Lamport's clocks, "Time, clocks, and the ordering of events", 1978.)

namespace tensair {

/// When the last delta of a replica arrived, and how many of its steps had arrived then.
struct Arrival {
  Time last{};
  std::uint64_t steps = 0;
  std::uint64_t round = 0;  ///< of the last one
};

/// Decides when a replica begins its next step. A function of the times it is told; asks no clock.
class Pace {
 public:
  /// @param own       the replica's number
  /// @param patience  how long it waits for another on average, as a share of the time of a step; 0: never. With more than
  ///                  16 replicas less in proportion: a wait for the last of many is a wait of all
  Pace(int replicas, int own, double patience);

  /// The replica has made a step.
  /// @param core  the share of this time for which it had a core
  void stepped(Time began, Time ended, double core = 1);

  /// The round of the step that comes next or is being made, from 1.
  auto round() const -> std::uint64_t { return round_; }

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
    Typical interval;               // between its steps
    bool alike = false;             // in speed, and alive
    double waited = 0;              // for it, lately: share of a step
    int pause = 0, next_pause = 0;  // steps in which it is left alone
    int kept = 0;                   // steps since the last pause
  };

  static void learn(Peer& peer, const Arrival& arrival);
  auto is_alike(const Peer& peer, Time now) const -> bool;
  auto is_due(const Peer& peer) const -> bool;
  void account(Time now);

  std::vector<Peer> peers_;
  std::size_t own_;
  double patience_;
  Time ended_{};
  Typical step_;
  double core_ = 1;
  std::uint64_t round_ = 1, finished_ = 0;
  bool deciding_ = false;  // a step has ended, the next one has not been allowed
};

}  // namespace tensair
