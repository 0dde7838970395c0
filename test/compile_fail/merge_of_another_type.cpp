// error: merge\(others\): all streams have records of one type
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).merge(pipeline.source(std::vector{3.5})).collect();
}
