#include <torch/torch.h>

#include <sstream>
#include <tensair/error.hpp>
#include <tensair/model/libtorch_optimizer.hpp>

namespace tensair {
namespace {

using Make = std::function<std::unique_ptr<torch::optim::Optimizer>(std::vector<at::Tensor>)>;

class LibTorchOptimizer final : public Optimizer {
 public:
  LibTorchOptimizer(const Make& make, std::size_t parameters)
      : parameter_(torch::empty({static_cast<std::int64_t>(parameters)}).requires_grad_()) {
    optimizer_ = make({parameter_});
    if (!optimizer_)
      throw UsageError("libtorch_optimizer's function makes no optimiser", "optimiser", "Return a unique_ptr to one.");
    for (const auto& group : optimizer_->param_groups()) rates_.push_back(group.options().get_lr());
  }

  void step(std::span<float> parameters, std::span<const float> gradient) override {
    const torch::NoGradGuard no_grad;
    const auto size = static_cast<std::int64_t>(parameters.size());
    parameter_.set_data(torch::from_blob(parameters.data(), {size}));
    // Optimisers only read the gradient, which LibTorch cannot say with a type; but weight decay may be added in place.
    auto kept = torch::from_blob(const_cast<float*>(gradient.data()), {size}).clone();
    parameter_.mutable_grad() = std::move(kept);
    optimizer_->step();
  }

  void scale_rate(double factor) override {
    auto rate = rates_.begin();
    for (auto& group : optimizer_->param_groups()) group.options().set_lr(factor * *rate++);
  }

  auto state() const -> OptimizerState override {
    torch::serialize::OutputArchive archive;
    optimizer_->save(archive);
    std::ostringstream bytes;
    archive.save_to(bytes);
    return {{}, {}, bytes.str()};
  }

  void restore(const OptimizerState& state) override {
    try {
      std::istringstream bytes(state.other);
      torch::serialize::InputArchive archive;
      archive.load_from(bytes);
      optimizer_->load(archive);
    } catch (const std::exception&) {
      throw Error("an optimiser's state is not one of this LibTorch optimiser", "optimiser",
                  "Train on with the optimiser that the checkpoint was made with.");
    }
  }

 private:
  at::Tensor parameter_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  std::vector<double> rates_;  // that it was made with, by group
};

}  // namespace

auto libtorch_optimizer(Make make) -> OptimizerFactory {
  return [make = std::move(make)](std::size_t parameters) {
    return std::make_unique<LibTorchOptimizer>(make, parameters);
  };
}

}  // namespace tensair
