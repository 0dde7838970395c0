// error: an interval join needs event time on both sides
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  auto timed = pipeline.source(std::vector{1}).assign_timestamps([](int) { return tensair::EventTime{}; });
  std::move(timed)
      .key_by([](int n) { return n; })
      .join(pipeline.source(std::vector{2}).key_by([](int n) { return n; }))
      .between(std::chrono::seconds{0}, std::chrono::seconds{5})
      .with([](int a, int b) { return a + b; })
      .collect();
}
