// error: map\(f\): f takes a record of this stream
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).map([](const std::string& text) { return text; }).collect();
}
