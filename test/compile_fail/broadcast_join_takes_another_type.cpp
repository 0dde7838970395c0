// error: f takes a record and a const reference to what is known
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1})
      .broadcast_join(pipeline.source(std::vector{2}), [](int n, const std::vector<std::string>&) { return n; })
      .collect();
}
