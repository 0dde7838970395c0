// error: f takes a record of this stream and returns a time
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).assign_timestamps([](int n) { return n; }).collect();
}
