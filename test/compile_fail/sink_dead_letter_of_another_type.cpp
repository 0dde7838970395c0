// error: dead_letter<T>\(sink\): T is what the sink before it takes
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2})
      .sink([](int) {}, tensair::dead_letter<std::string>([](const tensair::DeadLetter<std::string>&) {}));
}
