// error: flat_map\(f\): f takes a record of this stream and returns a range
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).flat_map([](int n) { return n; }).collect();
}
