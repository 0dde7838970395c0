#include <fmt/format.h>
#include <torch/torch.h>

#include <tensair/error.hpp>
#include <tensair/model/network.hpp>

namespace tensair::detail {

auto network_of(std::shared_ptr<torch::nn::Module> module, std::function<Outputs(const TensorBatch&)> forward)
    -> Network {
  Network network;
  for (const auto& item : module->named_parameters()) network.parameters.emplace_back(item.key(), item.value());
  for (const auto& item : module->named_buffers()) network.buffers.emplace_back(item.key(), item.value());
  for (const auto& part : module->modules()) {
    if (const auto* const table = part->as<torch::nn::EmbeddingImpl>()) {
      if (table->options.sparse()) network.sparse.push_back(table->weight);
    } else if (const auto* const bag = part->as<torch::nn::EmbeddingBagImpl>()) {
      if (bag->options.sparse()) network.sparse.push_back(bag->weight);
    }
  }
  network.train = [module](bool on) {
    if (module->is_training() != on) module->train(on);
  };
  network.forward = std::move(forward);
  return network;
}

void no_such_forward(std::size_t inputs) {
  throw Error(fmt::format("the module's forward does not take {} tensors", inputs), "model",
              "Let collate make as many inputs as it takes, or give network(module, forward) a function that does.");
}

}  // namespace tensair::detail
