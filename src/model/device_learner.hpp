#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/device_queue.hpp"
#include "model/network_learner.hpp"

namespace tensair {

/// A network whose parameters, gradient and optimiser are on a device.
///
/// What other replicas are told is copied to pinned memory by a queue of its own, while the next batch is computed;
/// what they tell is copied from where it lies and added there. All else that a replica may want (an average, a
/// checkpoint, an optimiser of one's own, which knows no device) goes by a copy of the parameters in main memory, that
/// is made when it is asked for and, where it may have been changed, brought back before the device needs them.
class DeviceLearner final : public NetworkLearner {
 public:
  DeviceLearner(Network network, const ModelOptions& options, int replicas, const at::Device& device);
  ~DeviceLearner() override;

  auto parameters() -> std::span<float> override;
  auto values() -> std::span<const float> override;
  auto gradient() -> std::span<const float> override;

  auto compute(const TensorBatch& batch) -> Score override;
  auto gradient_is_finite() -> bool override { return gradient_is_finite_; }
  void update(Optimizer& optimizer, std::span<const float> gradient, std::span<float> change) override;
  void finish_change() override;
  auto update_was_finite() -> bool override;
  auto updates_later() const -> bool override { return true; }
  auto change_buffer(std::size_t count) -> std::shared_ptr<float> override;
  void meanwhile(std::function<void()> what) override { meanwhile_ = std::move(what); }
  void add(const Delta& delta) override;
  void displace(const Delta& by) override;
  void put_back() override;

  auto score(const TensorBatch& batch) -> Score override;
  auto score(const TensorBatch& batch, at::Tensor& outputs) -> Score override;
  using Learner::predict;
  auto predict(const TensorBatch& batch) -> Outputs override;
  auto make_optimizer(const OptimizerFactory& wanted) -> std::unique_ptr<Optimizer> override;
  auto tensors() -> NamedTensors override;

 private:
  /// Which copy of the parameters is the one to go by.
  enum class Newest { device, both, main_memory };

  void note_buffers() override;
  void take_buffers_back() override;
  auto score_of(const at::Tensor& output, const at::Tensor& loss, const TensorBatch& batch, bool training)
      -> Score override;

  template <class Body>
  auto with_room(Body body);
  template <class Body>
  auto on_device(Body body);
  template <class Body>
  auto on_batch(const TensorBatch& batch, Body body);
  auto pinned(std::size_t count) const -> at::Tensor;
  auto there(const at::Tensor& tensor) const -> at::Tensor;
  auto there(const TensorBatch& batch) const -> TensorBatch;
  auto there(std::span<const float> values) const -> at::Tensor;
  auto there(const Delta& delta) -> at::Tensor;
  void bring_back();
  void bring_here();
  static auto noting_outputs(Network network, DeviceLearner* learner) -> Network;
  void explain_fault(const TensorBatch& batch, const std::string& what) const;

  at::Device device_;
  DeviceQueue queue_, copies_;
  std::function<void()> meanwhile_ = [] {};
  bool gradient_is_finite_ = true;
  Newest newest_ = Newest::device;
  bool shown_ = false;                 // somebody may have changed the parameters on the device, outside the queue
  at::Tensor host_, host_gradient_;    // pinned; made when they are first asked for
  at::Tensor change_;                  // the parameters before a step, then what it has changed
  at::Tensor largest_, host_largest_;  // absolute value of a parameter after an update; the latter pinned
  at::Tensor placed_;                  // the parameters, while they are displaced
  at::Tensor buffers_before_;
  std::vector<std::shared_ptr<const void>> in_flight_;  // deltas that are being copied to the device
  std::vector<std::int64_t> output_sizes_;              // of the last forward, for errors
};

}  // namespace tensair
