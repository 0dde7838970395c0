// error: a metric does not take what these records have as truth and prediction
#include <tensair/metrics.hpp>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector<std::pair<double, double>>{{1.5, 2.5}}).measure({}, tensair::metrics::Kappa{}).collect();
}
