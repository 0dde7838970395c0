#pragma once

#include <nlohmann/json.hpp>
#include <tensair/pipeline.hpp>

namespace tensair::test {

/// Runs `build`, which returns a stream of something, on one node with `on_error(skip)`, and says how often something
/// was skipped.
template <class Build>
auto skipped(Build build) -> int {
  Pipeline pipeline;
  build(pipeline).on_error(skip).sink([](const auto&) {});
  pipeline.execute();
  int sum = 0;
  const auto figures = nlohmann::json::parse(pipeline.figures());
  for (const auto& [name, number] : figures.at("counts").items()) {
    if (name.ends_with(": skipped")) sum += number.template get<int>();
  }
  return sum;
}

}  // namespace tensair::test
