// error: call early\(
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  using namespace std::chrono_literals;
  auto keyed = pipeline.source(std::vector{1, 2}).key_by([](int n) { return n; });
  std::move(keyed).window(tensair::processing_time(tensair::tumbling(1s))).discarding().count().collect();
}
