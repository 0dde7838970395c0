// error: T is what the operator takes .*at_end see dead_letter, or use skip
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2})
      .key_by([](int n) { return n; })
      .sum([](int n) { return n; }, tensair::at_end)
      .on_error(tensair::dead_letter<int>([](const tensair::DeadLetter<int>&) {}))
      .sink([](const auto&) {});
}
