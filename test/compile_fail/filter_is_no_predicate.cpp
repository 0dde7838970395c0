// error: filter\(keep\): keep takes a record of this stream and returns true or false
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).filter([](int) { return std::string("yes"); }).collect();
}
