// error: sink\(sink\): sink takes a record of this stream
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector<std::string>{"a"}).sink([](int) {});
}
