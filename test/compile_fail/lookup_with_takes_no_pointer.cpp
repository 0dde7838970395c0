// error: f takes a record and a pointer to a row of the table
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  const auto key = [](int n) { return n; };
  pipeline.source(std::vector{1})
      .key_by(key)
      .lookup(pipeline.source(std::vector{2}).key_by(key), [](int n, int row) { return n + row; })
      .collect();
}
