// error: use of .*again.* before deduction of .*auto
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  auto again = pipeline.source(std::vector{1, 2, 3}).merge(again.map([](int n) { return n - 1; }));
}
