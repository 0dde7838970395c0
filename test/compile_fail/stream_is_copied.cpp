// error: use of deleted function
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  auto stream = pipeline.source(std::vector{1, 2});
  auto copy = stream;
  copy.collect();
}
