#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tensair/model/learner.hpp>
#include <utility>
#include <vector>

namespace tensair {

/// Whether that is what LibTorch says when a device has no room. By its words: only some such errors have a type of
/// their own.
auto is_out_of_memory(const std::string& what) -> bool;

/// What a batch's tensors look like, but for the number of examples.
class Look {
 public:
  explicit Look(const at::Tensor& tensor);
  auto text() const -> std::string;
  auto same_but_first(const at::Tensor& tensor) const -> bool;

 private:
  at::ScalarType type_;
  std::vector<std::int64_t> sizes_;
};

/// See `make_learner`.
class NetworkLearner : public Learner {
 public:
  /// @param device  where it computes
  NetworkLearner(Network network, const ModelOptions& options, int replicas, const at::Device& device);

  auto parameters() -> std::span<float> override;
  auto size() -> std::size_t override { return static_cast<std::size_t>(flat_.numel()); }
  auto trained() -> std::size_t override { return trained_; }
  auto gradient() -> std::span<const float> override;
  auto touches_few() const -> bool override { return !network_.sparse.empty(); }
  auto touched() const -> std::span<const Segment> override { return touched_; }
  void update(Optimizer& optimizer, std::span<const float> gradient, std::span<float> change) override;
  auto update_was_finite() -> bool override;

  auto compute(const TensorBatch& batch) -> Score override;
  auto score(const TensorBatch& batch) -> Score override;
  auto score(const TensorBatch& batch, at::Tensor& outputs) -> Score override;
  auto predict(const TensorBatch& batch) -> Outputs override;
  auto make_optimizer(const OptimizerFactory& wanted) -> std::unique_ptr<Optimizer> override;
  auto tensors() -> NamedTensors override;

 protected:
  // Training changes buffers in the midst of the forward pass. They are put back, and what they have changed by goes
  // where gradients are: so it is exchanged, checked and left out like these.
  virtual void note_buffers();
  virtual void take_buffers_back();
  /// @param training  it is the loss of which the gradient has been taken
  virtual auto score_of(const at::Tensor& output, const at::Tensor& loss, const TensorBatch& batch, bool training)
      -> Score;

  auto loss() const -> const Loss& { return loss_; }
  /// A buffer's change that is this replica's to tell, of one that a batch has made.
  auto share() const -> double { return 1.0 / replicas_; }

  at::Tensor flat_, gradient_;  // of the same size, but that `gradient_` is without sparse tables

 private:
  struct Group {
    std::vector<at::Tensor> parameters;
    std::size_t size = 0;
    OptimizerFactory optimizer;
    double rate = 1;
  };

  /// Where a sparse table lies in `flat_`; or what lies between two, and where its gradient does.
  struct Stretch {
    at::Tensor table{};  // undefined: none
    std::size_t first = 0, count = 0, gradient = 0;
  };

  void check_sparse(const ModelOptions& options);
  void flatten(const std::vector<ParameterGroup>& wanted, const at::Device& device);
  void gather_touched();
  void gather_rows(const Stretch& stretch);
  void move_others(const at::Device& device);
  auto grouped(const std::vector<ParameterGroup>& wanted) -> std::vector<Group>;
  [[noreturn]] void refuse_group(const ParameterGroup& group, const char* why) const;
  void explain_difference(const TensorBatch& batch) const;

  Network network_;
  Loss loss_;
  int replicas_;
  std::vector<Group> groups_;
  std::size_t trained_ = 0;
  std::vector<float> buffers_before_;
  std::vector<Stretch> stretches_;                              // of all, if there are sparse tables
  std::vector<Segment> touched_;                                // by the last batch,
  std::vector<float> some_;                                     // and its gradient for them
  std::vector<std::pair<std::uint32_t, std::uint32_t>> order_;  // of a table\'s rows, as LibTorch has them
  std::optional<Look> input_, target_;                          // of the first batch that was learnt from
};

}  // namespace tensair
