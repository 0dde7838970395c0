// error: emits when it is full
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).window(tensair::tumbling_count(10)).early(2).count().collect();
}
