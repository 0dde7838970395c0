// error: T is what the operator takes .*at_end see dead_letter, or use skip
#include <functional>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2})
      .key_by([](int n) { return n; })
      .sum(std::identity{}, tensair::at_end)  // which cannot fail: only results could
      .on_error(tensair::dead_letter<int>([](const tensair::DeadLetter<int>&) {}))
      .sink([](const auto&) {});
}
