// error: a window in event time needs event time on both sides
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  const auto key = [](int n) { return n; };
  pipeline.source(std::vector{1})
      .key_by(key)
      .join(pipeline.source(std::vector{2}).key_by(key))
      .window(tensair::tumbling(std::chrono::seconds{1}))
      .with([](int a, int b) { return a + b; })
      .collect();
}
