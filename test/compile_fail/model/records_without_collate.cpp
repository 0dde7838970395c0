// error: a model needs tensors: give the record's namespace a function collate
#include <tensair/model/model.hpp>

void build(tensair::Pipeline& pipeline, const tensair::ModelHandle& net) {
  pipeline.source(std::vector<int>{}).batch(4).model(net).train();
}
