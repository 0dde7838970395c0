// error: f takes a record of the left stream and one of the right stream
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  const auto key = [](int n) { return n; };
  pipeline.source(std::vector{1})
      .key_by(key)
      .join(pipeline.source(std::vector{2}).key_by(key))
      .with([](int a, const std::string&) { return a; })
      .collect();
}
