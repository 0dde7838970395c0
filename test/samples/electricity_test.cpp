#include "electricity/half_hour.hpp"

#include <vector>

#include "catch.hpp"

using electricity::HalfHour;

namespace {

auto market() -> std::vector<HalfHour> {
  std::vector<HalfHour> all;
  for (int i = 0; i < 100; ++i) {
    HalfHour one;
    one.nswprice = static_cast<float>(i * 37 % 11) / 11;
    one.up = i * 13 % 7 < 3 ? 1 : 0;
    all.push_back(one);
  }
  return all;
}

auto inputs_of(const std::vector<HalfHour>& all, std::size_t index) -> at::Tensor {
  electricity::Recent recent;
  std::vector<HalfHour> seen;
  for (const auto& one : all) seen.push_back(recent(one));
  return electricity::collate({&seen[index], 1}).first;
}

}  // namespace

TEST_CASE("what a half hour is told depends neither on its own label nor on later rows", "[electricity]") {
  const auto first = market();
  for (const std::size_t index : {0, 1, 50}) {
    auto other = first;
    other[index].up = 1 - other[index].up;
    for (auto i = index + 1; i < other.size(); ++i) other[i].nswprice = 0.77F, other[i].up = 1;
    CHECK(inputs_of(first, index).equal(inputs_of(other, index)));
  }
}

TEST_CASE("a half hour is told the labels before it, the last one first", "[electricity]") {
  const auto all = market();
  electricity::Recent recent;
  std::vector<HalfHour> seen;
  for (const auto& one : all) seen.push_back(recent(one));
  CHECK(seen[0].labels == std::array<float, electricity::remembered>{0, 0, 0, 0});
  for (std::size_t back = 0; back < electricity::remembered; ++back)
    CHECK(seen[50].labels[back] == (all[49 - back].up == 1 ? 1.0F : -1.0F));
}
