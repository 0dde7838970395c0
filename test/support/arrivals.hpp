#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "support/events.hpp"
#include "support/join_events.hpp"
#include "support/topologies.hpp"

namespace tensair::test {

/// An event, and how much later it arrives: what properties draw. Each shrinks without the others.
struct Arrival {
  int key = 0;
  int value = 0;
  std::int64_t time = 0;   // µs, from before 1970 on
  std::int64_t delay = 0;  // µs
};
using Arrivals = std::vector<Arrival>;

void showValue(const Arrival& arrival, std::ostream& out);

/// As they arrive.
auto events_of(const Arrivals& arrivals) -> std::vector<Event>;
auto join_events_of(const Arrivals& arrivals) -> std::vector<JoinEvent>;
/// How much earlier than one that arrived before it an event may be.
auto disorder_of(const Arrivals& arrivals) -> std::chrono::microseconds;

/// Where a pipeline runs, and how its records come.
struct Place {
  int nodes = 1, workers = 1;
  int records_a_turn = 1;  // of each source: chunks are no greater
  std::uint64_t seed = 1;  // of the simulation

  auto topology() const -> Topology { return {nodes, seed, false}; }
};

void showValue(const Place& place, std::ostream& out);

/// A number from `first` to `last`, drawn while a property is checked; shrinks to `first`.
auto drawn(int first, int last) -> int;

/// Checks a property with events and places of all sorts.
void check_with_arrivals(const std::string& description,
                         const std::function<void(const Arrivals& arrivals, const Place& place)>& property);
/// The same of the two sides of a join.
void check_with_two(
    const std::string& description,
    const std::function<void(const Arrivals& left, const Arrivals& right, const Place& place)>& property);

/// The two sides of a join, which come in their order.
auto join_inputs(const Arrivals& left, const Arrivals& right, const Place& place) -> JoinInputs;

}  // namespace tensair::test
