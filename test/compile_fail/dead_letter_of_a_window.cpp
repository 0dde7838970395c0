// error: of a window's result, a timer or at_end see dead_letter
#include <chrono>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2})
      .assign_timestamps([](int n) { return tensair::EventTime{std::chrono::microseconds{n}}; })
      .key_by([](int n) { return n; })
      .window(tensair::tumbling(std::chrono::seconds{1}))
      .process<int>([](int, const tensair::Window&, std::span<const int> all, auto emit) { emit(all[0]); })
      .on_error(tensair::dead_letter<int>([](const tensair::DeadLetter<int>&) {}))
      .sink([](int) {});
}
