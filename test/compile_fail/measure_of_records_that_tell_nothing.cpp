// error: records have members truth and prediction, or are pairs of the two
#include <tensair/metrics.hpp>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).measure({.every = 10}, tensair::metrics::Kappa{}).collect();
}
