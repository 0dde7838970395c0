// error: streams with event time merge with such only
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  auto timed = pipeline.source(std::vector{1, 2}).assign_timestamps([](int) { return tensair::EventTime{}; });
  std::move(timed).merge(pipeline.source(std::vector{3})).collect();
}
