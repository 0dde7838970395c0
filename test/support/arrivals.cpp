#include "support/arrivals.hpp"

#include <algorithm>
#include <ostream>

#include "catch.hpp"

#ifdef TENSAIR_HAS_RAPIDCHECK

namespace rc {
namespace {

// One of some values, whatever the size; shrinks to the first.
template <class T>
auto one_of(std::vector<T> values) -> Gen<T> {
  const auto index = gen::resize(kNominalSize, gen::inRange<std::size_t>(0, values.size()));
  return gen::map(index, [values](std::size_t i) { return values[i]; });
}

}  // namespace

template <>
struct Arbitrary<tensair::test::Arrival> {
  static auto arbitrary() -> Gen<tensair::test::Arrival> {
    using tensair::test::Arrival;
    using Microseconds = std::int64_t;
    // As many before 1970 as after it, shrinking towards it.
    const auto time =
        gen::map(gen::inRange<Microseconds>(0, 400), [](Microseconds n) { return n % 2 == 0 ? n / 2 : -(n + 1) / 2; });
    // Few different ones, so that records come just in time, and just too late.
    const auto delay = one_of<Microseconds>({0, 0, 0, 1, 2, 10, 40});
    return gen::build<Arrival>(gen::set(&Arrival::key, gen::inRange(0, 4)),
                               gen::set(&Arrival::value, gen::inRange(1, 100)), gen::set(&Arrival::time, time),
                               gen::set(&Arrival::delay, delay));
  }
};

template <>
struct Arbitrary<tensair::test::Place> {
  static auto arbitrary() -> Gen<tensair::test::Place> {
    using tensair::test::Place;
    return gen::build<Place>(gen::set(&Place::nodes, one_of<int>({1, 2, 5})),
                             gen::set(&Place::workers, one_of<int>({1, 3})),
                             gen::set(&Place::records_a_turn, one_of<int>({1'000, 7, 2, 1})),
                             gen::set(&Place::seed, gen::inRange<std::uint64_t>(1, 1'000'000)));
  }
};

}  // namespace rc

namespace tensair::test {
namespace {

auto in_order_of_arrival(Arrivals arrivals) -> Arrivals {
  std::stable_sort(arrivals.begin(), arrivals.end(),
                   [](const Arrival& a, const Arrival& b) { return a.time + a.delay < b.time + b.delay; });
  return arrivals;
}

}  // namespace

void showValue(const Arrival& arrival, std::ostream& out) {
  out << "{key " << arrival.key << ", value " << arrival.value << ", time " << arrival.time << " + " << arrival.delay
      << '}';
}

void showValue(const Place& place, std::ostream& out) {
  out << place.nodes << " nodes, " << place.workers << " workers, " << place.records_a_turn << " records a turn, seed "
      << place.seed;
}

auto events_of(const Arrivals& arrivals) -> std::vector<Event> {
  std::vector<Event> all;
  for (const auto& one : in_order_of_arrival(arrivals)) all.push_back({one.key, one.value, one.time});
  return all;
}

auto join_events_of(const Arrivals& arrivals) -> std::vector<JoinEvent> {
  std::vector<JoinEvent> all;
  for (const auto& one : in_order_of_arrival(arrivals)) {
    all.push_back({one.key, static_cast<int>(all.size()), one.time});
  }
  return all;
}

auto disorder_of(const Arrivals& arrivals) -> std::chrono::microseconds {
  std::int64_t most = 0;
  for (const auto& one : arrivals) most = std::max(most, one.delay);
  return std::chrono::microseconds{most};
}

auto drawn(int first, int last) -> int {
  return *rc::gen::inRange(first, last + 1);
}

void check_with_arrivals(const std::string& description,
                         const std::function<void(const Arrivals&, const Place&)>& property) {
  check_property(description, [&](const Arrivals& arrivals, const Place& place) { property(arrivals, place); });
}

void check_with_two(const std::string& description,
                    const std::function<void(const Arrivals&, const Arrivals&, const Place&)>& property) {
  check_property(description, [&](const Arrivals& left, const Arrivals& right, const Place& place) {
    property(left, right, place);
  });
}

auto join_inputs(const Arrivals& left, const Arrivals& right, const Place& place) -> JoinInputs {
  const auto disorder = std::max(disorder_of(left), disorder_of(right));
  return {join_events_of(left), join_events_of(right), static_cast<int>(disorder.count()),
          place.workers,        place.topology(),      place.records_a_turn};
}

}  // namespace tensair::test

#endif
