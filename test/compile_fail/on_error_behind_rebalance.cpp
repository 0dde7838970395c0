// error: on_error speaks of the operator just in front of it
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).map([](int n) { return 6 / n; }).rebalance().on_error(tensair::skip).sink([](int) {
  });
}
