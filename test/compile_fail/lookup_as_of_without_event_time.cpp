// error: a lookup as of event time needs event time on both sides
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  const auto key = [](int n) { return n; };
  pipeline.source(std::vector{1})
      .key_by(key)
      .lookup(pipeline.source(std::vector{2}).key_by(key), tensair::as_of_event_time,
              [](int n, const int* row) { return row == nullptr ? n : *row; })
      .collect();
}
