// error: needs event time: call assign_timestamps
#include <tensair/pipeline.hpp>

struct Late {
  struct State {};
  using Output = int;
  void operator()(int, State&, tensair::ProcessContext<int, int>&) {}
  void on_event_time(tensair::EventTime, State&, tensair::ProcessContext<int, int>&) {}
};

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).key_by([](int n) { return n; }).process(Late{}).collect();
}
