// error: T is what the operator takes
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector<std::string>{"a"})
      .map([](const std::string& text) { return text.size(); })
      .on_error(tensair::dead_letter<int>([](const tensair::DeadLetter<int>&) {}))
      .sink([](std::size_t) {});
}
