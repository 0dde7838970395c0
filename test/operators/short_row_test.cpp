#include <string>
#include <tensair/operators/short_row.hpp>
#include <vector>

#include "catch.hpp"

using namespace tensair;

namespace {

auto values(const operators::ShortRow<std::string>& row) -> std::vector<std::string> {
  return {row.begin(), row.end()};
}

}  // namespace

TEST_CASE("a short row does what a vector does", "[operators]") {
  operators::ShortRow<std::string> row;
  std::vector<std::string> model;
  std::uint32_t random = 1;
  for (int i = 0; i < 3'000; ++i) {
    random = random * 1'664'525 + 1'013'904'223;
    const auto place = static_cast<std::ptrdiff_t>((random >> 8) % (model.size() + 1));
    // Mostly few, at times none, at times more than before.
    if ((random >> 24) % 2 == 0 && model.size() < static_cast<std::size_t>(1 + i / 300)) {
      const auto text = "a text that is too long to be inside a string: " + std::to_string(i);
      const auto* at = row.insert(row.begin() + place, text);
      CHECK(*at == text);
      model.insert(model.begin() + place, text);
    } else {
      row.erase(row.begin() + place, row.end());
      model.erase(model.begin() + place, model.end());
    }
    if (i % 7 == 0) {
      auto other = std::move(row);
      std::destroy_at(&row);
      std::construct_at(&row, std::move(other));
    }
    REQUIRE(values(row) == model);
    REQUIRE(row.size() == model.size());
    REQUIRE(row.empty() == model.empty());
  }
}
