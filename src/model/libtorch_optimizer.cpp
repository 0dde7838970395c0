#include <torch/torch.h>

#include <sstream>
#include <tensair/error.hpp>
#include <tensair/model/libtorch_optimizer.hpp>

namespace tensair {
namespace {

using Make = std::function<std::unique_ptr<torch::optim::Optimizer>(std::vector<at::Tensor>)>;

/// One of LibTorch's, for a flat tensor that may lie elsewhere at each step, on one device.
class LibTorchTensorOptimizer final : public TensorOptimizer {
 public:
  LibTorchTensorOptimizer(const Make& make, std::int64_t parameters, const at::Device& device)
      : parameter_(torch::empty({parameters}, device).requires_grad_()) {
    optimizer_ = make({parameter_});
    if (!optimizer_)
      throw UsageError("libtorch_optimizer's function makes no optimiser", "optimiser", "Return a unique_ptr to one.");
    for (const auto& group : optimizer_->param_groups()) rates_.push_back(group.options().get_lr());
  }

  void step(at::Tensor& parameters, const at::Tensor& gradient) override {
    const torch::NoGradGuard no_grad;
    parameter_.set_data(parameters);
    // Weight decay may be added in place.
    parameter_.mutable_grad() = gradient.clone();
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
      archive.load_from(bytes, parameter_.device());
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

class LibTorchOptimizer final : public Optimizer {
 public:
  LibTorchOptimizer(Make make, std::size_t parameters)
      : make_(std::move(make)), size_(static_cast<std::int64_t>(parameters)), optimizer_(make_, size_, at::kCPU) {}

  void step(std::span<float> parameters, std::span<const float> gradient) override {
    auto values = torch::from_blob(parameters.data(), {size_});
    // Only read, which LibTorch cannot say with a type.
    optimizer_.step(values, torch::from_blob(const_cast<float*>(gradient.data()), {size_}));
  }
  void scale_rate(double factor) override { optimizer_.scale_rate(factor); }
  auto state() const -> OptimizerState override { return optimizer_.state(); }
  void restore(const OptimizerState& state) override { optimizer_.restore(state); }
  auto on(const c10::Device& device) const -> std::unique_ptr<TensorOptimizer> override {
    return std::make_unique<LibTorchTensorOptimizer>(make_, size_, device);
  }

 private:
  Make make_;
  std::int64_t size_;
  LibTorchTensorOptimizer optimizer_;
};

}  // namespace

auto libtorch_optimizer(Make make) -> OptimizerFactory {
  return [make = std::move(make)](std::size_t parameters) {
    return std::make_unique<LibTorchOptimizer>(make, parameters);
  };
}

}  // namespace tensair
