// error: the other stream has no keys
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1}).key_by([](int n) { return n; }).join(pipeline.source(std::vector{2}));
}
