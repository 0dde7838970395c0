// error: sink\(sink, on_error\): on_error is skip, dead_letter<T>\(other\) or stop
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).sink([](int) {}, [](int) {});
}
