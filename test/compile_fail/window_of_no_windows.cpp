// error: w is tumbling
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).key_by([](int n) { return n; }).window(10).count().collect();
}
