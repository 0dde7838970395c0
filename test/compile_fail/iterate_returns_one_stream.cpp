// error: body\(loop\) returns an Iteration{feedback, output}
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2})
      .iterate([](auto loop) { return std::move(loop).map([](int n) { return n - 1; }); })
      .collect();
}
