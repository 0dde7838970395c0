// error: of a side that may have none
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  const auto key = [](int n) { return n; };
  const auto time = [](int) { return tensair::EventTime{}; };
  pipeline.source(std::vector{1})
      .assign_timestamps(time)
      .key_by(key)
      .join(pipeline.source(std::vector{2}).assign_timestamps(time).key_by(key))
      .window(tensair::tumbling(std::chrono::seconds{1}))
      .left_outer()
      .with([](int a, int b) { return a + b; })
      .collect();
}
