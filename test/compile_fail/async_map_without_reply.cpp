// error: f takes a record and a Reply
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).async_map<int>([](int n) { return n; }).collect();
}
