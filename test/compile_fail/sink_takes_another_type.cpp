// error: Sink
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector<std::string>{"a"}).sink([](int) {});
}
