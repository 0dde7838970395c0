// error: a window in event time needs event time: call assign_timestamps
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2})
      .key_by([](int n) { return n; })
      .window(tensair::tumbling(std::chrono::seconds{1}))
      .count()
      .collect();
}
