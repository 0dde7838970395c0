#include "model/device_learner.hpp"

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <tensair/error.hpp>
#include <tensair/model/step_rule.hpp>
#include <utility>

#include "model/count_correct.hpp"

namespace tensair {
namespace {

// A sparse delta of more than this share of the parameters is added as a dense one: positions are twice a value's size.
constexpr std::size_t densest = 4;

// So many deltas may be on their way to the device before it is waited for: their memory is their senders'.
constexpr std::size_t most_in_flight = 4;

auto values_of(const at::Tensor& tensor) -> std::span<float> {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

auto over(std::span<const float> values) -> at::Tensor {
  // Only read, which LibTorch cannot say with a type.
  return torch::from_blob(const_cast<float*>(values.data()), {static_cast<std::int64_t>(values.size())});
}

// The largest absolute value: NaN if there is one. A sum of squares could be infinite of numbers that are not.
auto largest_of(const at::Tensor& flat) -> at::Tensor {
  return flat.norm(std::numeric_limits<double>::infinity());
}

// What the body does, or one line where LibTorch has a page to say.
template <class Body>
auto with_room(const at::Device& device, const char* for_what, const char* remedy, Body body) {
  try {
    return body();
  } catch (const c10::Error& error) {
    const std::string what = error.what();
    if (!is_out_of_memory(what)) throw;
    throw Error(fmt::format("{} has no room{}: {}", device.str(), for_what, what.substr(0, what.find('\n'))), "model",
                remedy);
  }
}

/// An optimiser on the device, or one that steps in main memory. The learner that made it is the one to call it.
class DeviceOptimizer final : public Optimizer {
 public:
  DeviceOptimizer(std::unique_ptr<Optimizer> here, const at::Device& device, const DeviceQueue& queue)
      : queue_(queue), there_(here->on(device)) {
    if (!there_) here_ = std::move(here);
  }

  auto there() -> TensorOptimizer* { return there_.get(); }
  void step(std::span<float> parameters, std::span<const float> gradient) override {
    require_here();
    here_->step(parameters, gradient);
  }
  void tracked_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> change) override {
    require_here();
    here_->tracked_step(parameters, gradient, change);
  }
  void scale_rate(double factor) override { there_ ? there_->scale_rate(factor) : here_->scale_rate(factor); }
  auto state() const -> OptimizerState override {
    const auto use = queue_.use();
    return there_ ? there_->state() : here_->state();
  }
  void restore(const OptimizerState& state) override {
    const auto use = queue_.use();
    there_ ? there_->restore(state) : here_->restore(state);
  }

 private:
  void require_here() const {
    if (!here_) throw std::logic_error("an optimiser on a device is asked to step in main memory");
  }

  const DeviceQueue& queue_;
  std::unique_ptr<TensorOptimizer> there_;
  std::unique_ptr<Optimizer> here_;  // if there is none there
};

}  // namespace

DeviceLearner::DeviceLearner(Network network, const ModelOptions& options, int replicas, const at::Device& device)
    : NetworkLearner(noting_outputs(std::move(network), this), options, replicas, device),
      device_(device),
      queue_(device),
      copies_(device) {
  const auto use = queue_.use();
  change_ = at::empty_like(flat_);
  largest_ = torch::zeros({}, flat_.options());
  host_largest_ = pinned(1).zero_().squeeze();
  buffers_before_ = at::empty({static_cast<std::int64_t>(size() - trained())}, flat_.options());
}

DeviceLearner::~DeviceLearner() {
  try {
    queue_.wait();
    copies_.wait();
  } catch (const c10::Error&) {
    // A device that has failed has nothing to wait for; whoever asked it last was told.
  }
}

auto DeviceLearner::noting_outputs(Network network, DeviceLearner* learner) -> Network {
  network.forward = [learner, forward = std::move(network.forward)](const TensorBatch& batch) {
    auto outputs = forward(batch);
    learner->output_sizes_ = outputs.first().sizes().vec();
    return outputs;
  };
  network.sparse.clear();  // gradients of tables are dense on a device: rows would have to be gathered from it
  return network;
}

template <class Body>
auto DeviceLearner::with_room(Body body) {
  return tensair::with_room(device_, "", "Use smaller batches, or fewer replicas on it.", body);
}

// What is asked of the device by the body goes into the queue, and finds the parameters there.
template <class Body>
auto DeviceLearner::on_device(Body body) {
  return with_room([&] {
    if (std::exchange(shown_, false)) queue_.follow_caller();
    const auto use = queue_.use();
    bring_back();
    return body();
  });
}

template <class Body>
auto DeviceLearner::on_batch(const TensorBatch& batch, Body body) {
  return on_device([&] {
    try {
      return body();
    } catch (const c10::Error& error) {
      explain_fault(batch, error.what());
      throw;
    }
  });
}

auto DeviceLearner::parameters() -> std::span<float> {
  bring_here();
  newest_ = Newest::main_memory;
  return values_of(host_);
}

auto DeviceLearner::values() -> std::span<const float> {
  bring_here();
  return values_of(host_);
}

auto DeviceLearner::gradient() -> std::span<const float> {
  const auto use = queue_.use();
  if (!host_gradient_.defined()) host_gradient_ = pinned(size());
  host_gradient_.copy_(gradient_);
  return values_of(host_gradient_);
}

auto DeviceLearner::compute(const TensorBatch& batch) -> Score {
  return on_batch(batch, [&] { return NetworkLearner::compute(there(batch)); });
}

auto DeviceLearner::score(const TensorBatch& batch) -> Score {
  return on_batch(batch, [&] { return NetworkLearner::score(there(batch)); });
}

auto DeviceLearner::score(const TensorBatch& batch, at::Tensor& outputs) -> Score {
  return on_batch(batch, [&] {
    const auto score = NetworkLearner::score(there(batch), outputs);
    outputs = outputs.cpu();
    return score;
  });
}

auto DeviceLearner::predict(const TensorBatch& batch) -> Outputs {
  return on_batch(batch, [&] { return NetworkLearner::predict(there(batch)).in_main_memory(); });
}

auto DeviceLearner::make_optimizer(const OptimizerFactory& wanted) -> std::unique_ptr<Optimizer> {
  return with_room([&] {
    const auto use = queue_.use();
    return std::make_unique<DeviceOptimizer>(NetworkLearner::make_optimizer(wanted), device_, queue_);
  });
}

auto DeviceLearner::tensors() -> NamedTensors {
  on_device([] {});
  queue_.wait();  // who uses them does so outside the queue
  newest_ = Newest::device;
  shown_ = true;
  return NetworkLearner::tensors();
}

// One number for each thing that is to be known, and one wait for all of them.
auto DeviceLearner::score_of(const at::Tensor& output, const at::Tensor& loss, const TensorBatch& batch, bool training)
    -> Score {
  const torch::NoGradGuard no_grad;
  const bool counts = batch.target.defined() && are_classes(output, batch.target);
  std::vector<at::Tensor> numbers{loss.to(device_, at::kFloat).reshape({})};
  if (counts) numbers.push_back(output.argmax(1).eq(batch.target).sum(at::kFloat));
  if (training) numbers.push_back(largest_of(gradient_));
  const auto all = torch::stack(numbers);
  if (training) meanwhile_();
  const auto here = all.cpu();  // all that was asked before has been done
  in_flight_.clear();
  const auto values = values_of(here);
  if (training) gradient_is_finite_ = std::isfinite(values.back());
  return {static_cast<double>(values[0]), static_cast<std::uint64_t>(batch.examples()),
          counts ? static_cast<std::uint64_t>(values[1]) : 0};
}

auto DeviceLearner::update_was_finite() -> bool {
  copies_.wait();
  return std::isfinite(values_of(host_largest_).front());
}

void DeviceLearner::update(Optimizer& optimizer, std::span<const float> gradient, std::span<float> change) {
  auto& own = static_cast<DeviceOptimizer&>(optimizer);
  const torch::NoGradGuard no_grad;
  if (!own.there()) {
    if (gradient.empty()) gradient = this->gradient();
    const auto here = parameters();
    change.empty() ? own.step(here, gradient) : own.tracked_step(here, gradient, change);
    copies_.wait();
    values_of(host_largest_).front() = all_finite(here) ? 0 : std::numeric_limits<float>::infinity();
    return;
  }
  on_device([&] {
    const auto by = gradient.empty() ? gradient_ : there(gradient);
    queue_.follow(copies_);  // what the update before has left may still be read
    if (!change.empty()) change_.copy_(flat_);
    own.there()->step(flat_, by);
    newest_ = Newest::device;
    if (!change.empty()) at::sub_out(change_, flat_, change_);
    largest_.copy_(largest_of(flat_));
  });
  copies_.follow(queue_);
  const auto use = copies_.use();
  host_largest_.copy_(largest_, /*non_blocking=*/true);
  if (!change.empty()) over(change).copy_(change_, /*non_blocking=*/true);
}

void DeviceLearner::finish_change() {
  copies_.wait();
}

void DeviceLearner::add(const Delta& delta) {
  if (delta.values.empty()) return;
  const torch::NoGradGuard no_grad;
  on_device([&] {
    newest_ = Newest::device;
    if (!delta.is_sparse()) {
      flat_.add_(there(delta));
    } else if (delta.values.size() > size() / densest) {
      const auto dense = torch::zeros({flat_.numel()});
      tensair::add(values_of(dense), delta);
      flat_.add_(there(values_of(dense)));
    } else {
      auto positions = torch::empty({static_cast<std::int64_t>(delta.values.size())}, at::kLong);
      auto* position = positions.data_ptr<std::int64_t>();
      for (const auto& segment : delta.segments) {
        for (std::uint64_t i = segment.first; i < segment.end(); ++i) *position++ = static_cast<std::int64_t>(i);
      }
      flat_.index_add_(0, there(positions), there(delta));
    }
  });
}

void DeviceLearner::displace(const Delta& by) {
  on_device([&] {
    const torch::NoGradGuard no_grad;
    if (!placed_.defined()) placed_ = at::empty_like(flat_);
    placed_.copy_(flat_);
  });
  add(by);
}

void DeviceLearner::put_back() {
  on_device([&] {
    const torch::NoGradGuard no_grad;
    flat_.copy_(placed_);
    newest_ = Newest::device;
  });
}

void DeviceLearner::note_buffers() {
  if (buffers_before_.numel() == 0) return;
  const torch::NoGradGuard no_grad;
  buffers_before_.copy_(flat_.narrow(0, static_cast<std::int64_t>(trained()), buffers_before_.numel()));
}

void DeviceLearner::take_buffers_back() {
  if (buffers_before_.numel() == 0) return;
  const torch::NoGradGuard no_grad;
  const auto buffers = flat_.narrow(0, static_cast<std::int64_t>(trained()), buffers_before_.numel());
  auto changes = gradient_.narrow(0, static_cast<std::int64_t>(trained()), buffers_before_.numel());
  at::sub_out(changes, buffers_before_, buffers).mul_(share());
  buffers.copy_(buffers_before_);
}

// Not from the block's beginning: so LibTorch does not know it for one of its allocator's, and notes nothing down that
// it would look at when it is freed. Copies have been waited for by then; and on a device that has failed such a look
// would throw in a destructor.
auto DeviceLearner::pinned(std::size_t count) const -> at::Tensor {
  constexpr std::int64_t offset = 64;
  const auto size = static_cast<std::int64_t>(count);
  auto block = torch::empty({offset + size}, at::TensorOptions().pinned_memory(!device_.is_cpu()));
  auto* const values = block.data_ptr<float>() + offset;
  return torch::from_blob(values, {size}, [kept = std::move(block)](void*) {});
}

auto DeviceLearner::change_buffer(std::size_t count) -> std::shared_ptr<float> {
  auto tensor = pinned(count);
  auto* values = tensor.data_ptr<float>();
  return {values, [kept = std::move(tensor)](float*) {}};
}

// By way of pinned memory, which is used again when the copy has been made: so the device is not waited for.
auto DeviceLearner::there(const at::Tensor& tensor) const -> at::Tensor {
  if (!tensor.defined() || device_.is_cpu()) return tensor;
  if (!tensor.is_cpu() || tensor.layout() != at::kStrided) return tensor.to(device_);
  return (tensor.is_pinned() ? tensor : tensor.pin_memory()).to(device_, /*non_blocking=*/true);
}

auto DeviceLearner::there(const TensorBatch& batch) const -> TensorBatch {
  auto moved = batch;
  moved.input = there(batch.input);
  moved.target = there(batch.target);
  for (auto& tensor : moved.more_inputs) tensor = there(tensor);
  for (auto& tensor : moved.more_targets) tensor = there(tensor);
  return moved;
}

// Waits for the copy: the values may change as soon as this returns.
auto DeviceLearner::there(std::span<const float> values) const -> at::Tensor {
  return over(values).to(device_);
}

auto DeviceLearner::there(const Delta& delta) -> at::Tensor {
  const auto values = over(delta.values);
  if (device_.is_cpu()) return values;
  if (!delta.owner || !values.is_pinned()) return there(values.is_pinned() ? values.clone() : values);
  if (in_flight_.size() >= most_in_flight) {
    queue_.wait();
    in_flight_.clear();
  }
  in_flight_.push_back(delta.owner);
  return there(values);
}

// To the device, what may have been changed in main memory.
void DeviceLearner::bring_back() {
  if (newest_ != Newest::main_memory) return;
  const torch::NoGradGuard no_grad;
  flat_.copy_(host_);
  newest_ = Newest::both;
}

void DeviceLearner::bring_here() {
  if (newest_ != Newest::device) return;
  const auto use = queue_.use();
  const torch::NoGradGuard no_grad;
  if (!host_.defined()) host_ = pinned(size());
  host_.copy_(flat_);
  newest_ = Newest::both;
}

// On a GPU an index out of range ends all that the process does there, and LibTorch only says that something was
// asserted. The loss can tell more, of any output of that shape.
void DeviceLearner::explain_fault(const TensorBatch& batch, const std::string& what) const {
  if (what.find("device-side assert") == std::string::npos) return;
  if (!output_sizes_.empty()) {
    auto sizes = output_sizes_;
    sizes.front() = batch.examples();
    loss()(Outputs(torch::zeros(sizes)), batch);
  }
  throw Error(fmt::format("{} stopped: an index is out of range", device_.str()), "model",
              "Check inputs and targets of all models there; with --device cpu the error names the operation.");
}

auto make_learner_on(const at::Device& device, Network network, const ModelOptions& options, int replicas)
    -> std::unique_ptr<Learner> {
  return with_room(device, " for the parameters", "Let fewer replicas be on it: ModelOptions::replicas, or device.",
                   [&]() -> std::unique_ptr<Learner> {
                     return std::make_unique<DeviceLearner>(std::move(network), options, replicas, device);
                   });
}

}  // namespace tensair
