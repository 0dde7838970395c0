// error: a model learns from batches: write \.batch\(n\) before \.model\(net\)
#include <tensair/model/model.hpp>

void build(tensair::Pipeline& pipeline, const tensair::ModelHandle& net) {
  pipeline.source(std::vector<tensair::Example>{}).model(net).train();
}
