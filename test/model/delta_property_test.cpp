#include <rapidcheck.h>

#include <map>
#include <tensair/model/delta.hpp>
#include <tensair/net/malformed.hpp>

#include "catch.hpp"

using namespace tensair;

namespace {

constexpr std::uint32_t parameter_count = 40;

// Whole numbers, so that sums are exact in any order.
struct Drawn {
  std::map<std::uint32_t, float> values;
  bool dense = false;
};

auto draw(bool dense) -> Drawn {
  Drawn drawn;
  drawn.dense = dense;
  for (std::uint32_t i = 0; i < parameter_count; ++i) {
    if (dense || *rc::gen::inRange(0, 4) == 0) drawn.values[i] = static_cast<float>(*rc::gen::inRange(-9, 10));
  }
  return drawn;
}

// Segments are cut wherever it comes: neighbours may be one or two.
auto delta_of(const Drawn& drawn) -> SharedDelta {
  auto owned = std::make_shared<std::pair<std::vector<float>, std::vector<Segment>>>();
  auto& [values, segments] = *owned;
  for (const auto& [at, value] : drawn.values) {
    values.push_back(value);
    if (drawn.dense) continue;
    if (!segments.empty() && segments.back().end() == at && *rc::gen::arbitrary<bool>()) {
      ++segments.back().count;
    } else {
      segments.push_back({at, 1});
    }
  }
  auto delta = std::make_shared<Delta>();
  delta->values = values;
  delta->segments = segments;
  delta->owner = owned;
  delta->contributions = {{0, 1, 1, {}, 0, 0}};
  return delta;
}

}  // namespace

TEST_CASE("the sum of deltas is what they come to one by one, sparse or dense", "[exchange][property]") {
  CHECK(rc::check("for any deltas", [] {
    Accumulator accumulator{parameter_count};
    std::vector<float> expected(parameter_count);
    const int count = *rc::gen::inRange(1, 8);
    for (int i = 0; i < count; ++i) {
      const auto drawn = draw(*rc::gen::inRange(0, 5) == 0);
      for (const auto& [at, value] : drawn.values) expected[at] += value;
      accumulator.add(delta_of(drawn));
    }
    const auto sum = accumulator.take();
    RC_ASSERT(sum->contributions.front().steps == static_cast<std::uint64_t>(count));
    if (sum->is_sparse()) check_segments(sum->segments, parameter_count, sum->values.size());
    std::vector<float> got(parameter_count);
    add(got, *sum);
    RC_ASSERT(got == expected);
    RC_ASSERT(accumulator.empty());
  }));
}

TEST_CASE("segments that are not a model's parameters in order are refused", "[exchange]") {
  using Segments = std::vector<Segment>;
  const auto check = [](const Segments& segments, std::size_t values) { check_segments(segments, 10, values); };
  CHECK_NOTHROW(check({{0, 2}, {2, 1}, {9, 1}}, 4));
  CHECK_THROWS_AS(check({{0, 2}, {1, 1}}, 3), net::Malformed);
  CHECK_THROWS_AS(check({{5, 1}, {2, 1}}, 2), net::Malformed);
  CHECK_THROWS_AS(check({{9, 2}}, 2), net::Malformed);
  CHECK_THROWS_AS(check({{3, 0}}, 0), net::Malformed);
  CHECK_THROWS_AS(check({{0xFFFFFFFF, 0xFFFFFFFF}}, 1), net::Malformed);
  CHECK_THROWS_AS(check({{0, 2}}, 3), net::Malformed);
}
