// error: inspect\(look\): look takes a record of this stream
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2})
      .map([](int n) { return n * n; })
      .filter([](int n) { return n > 1; })
      .inspect([](const std::string&) {})
      .map([](int n) { return n + 1; })
      .batch(2)
      .collect();
}
