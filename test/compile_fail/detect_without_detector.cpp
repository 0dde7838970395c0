// error: detect\(d, f\): d is a drift detector's parameters, such as adwin\{\} or optwin\{\.rho = 0\.1\}
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{0.5, 0.25}).detect(0.002).collect();
}
