// error: dead_letter<T>\(sink\): the sink takes a DeadLetter<T>
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2})
      .map([](int n) { return n; })
      .on_error(tensair::dead_letter<int>([](const std::string&) {}))
      .collect();
}
