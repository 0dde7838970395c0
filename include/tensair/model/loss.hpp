#pragma once

#include <ATen/core/Tensor.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <tensair/model/outputs.hpp>
#include <tensair/model/tensor_batch.hpp>
#include <type_traits>
#include <utility>
#include <vector>

namespace tensair {

namespace detail {

template <class F>
concept LossOfTwo = std::is_invocable_r_v<at::Tensor, F&, const at::Tensor&, const at::Tensor&>;
template <class F>
concept LossOfBatch = !LossOfTwo<F> && std::is_invocable_r_v<at::Tensor, F&, const Outputs&, const TensorBatch&>;

}  // namespace detail

/// The loss of a batch, a tensor of dimension 0.
///
/// One of those below, its name, a function of the output and the target, or, for models with several outputs or
/// batches with several targets, a function of all outputs and the batch.
///
/// @code
/// pipeline.model("flowers", make_two_headed, {.loss = [](const tensair::Outputs& out, const tensair::TensorBatch&
/// batch) {
///   return tensair::cross_entropy(out["kind"], batch.target) +
///          0.1 * tensair::mean_squared_error(out["width"], batch.more_targets.at(0));
/// }});
/// @endcode
class Loss {
 public:
  using Function = std::function<at::Tensor(const Outputs&, const TensorBatch&)>;

  /// @throws UsageError  none has that name; says which there are
  Loss(const std::string& name);
  Loss(const char* name) : Loss(std::string(name)) {}
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Loss> && detail::LossOfTwo<F>) Loss(F loss)
      : function_([loss = std::move(loss)](const Outputs& outputs, const TensorBatch& batch) mutable -> at::Tensor {
          return loss(outputs.first(), batch.target);
        }) {}
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Loss> && detail::LossOfBatch<F>) Loss(F loss)
      : function_(std::move(loss)) {}

  auto operator()(const Outputs& outputs, const TensorBatch& batch) const -> at::Tensor {
    return function_(outputs, batch);
  }
  auto operator()(const at::Tensor& output, const at::Tensor& target) const -> at::Tensor;

 private:
  Function function_;
};

struct CrossEntropyOptions {
  std::vector<float> weights{};  ///< one for each class; empty: all 1
  std::int64_t ignore = -100;    ///< targets of this class count for nothing
  double label_smoothing = 0;    ///< how much of a target is spread over all classes (Szegedy et al., CVPR 2016)
};

struct NegativeLogLikelihoodOptions {
  std::vector<float> weights{};  ///< one for each class; empty: all 1
  std::int64_t ignore = -100;    ///< targets of this class count for nothing
};

struct BinaryCrossEntropyOptions {
  double positive_weight = 1;  ///< of targets that are 1
};

struct HuberOptions {
  double delta = 1;  ///< differences below are squared
};

struct SmoothL1Options {
  double beta = 1;  ///< differences below are squared, and divided by this
};

// Losses are objects, so that both `.loss = cross_entropy` and `.loss = cross_entropy({.label_smoothing = 0.1})` read
// well. All are means over the batch's elements, and name what does not fit: shapes, or a class out of range.

struct CrossEntropy {
  /// Mean cross entropy of logits [N, C] against class numbers, int64 [N]; of [N, C, …] against [N, …]; or against
  /// probabilities of the logits' shape.
  auto operator()(const at::Tensor& logits, const at::Tensor& classes) const -> at::Tensor;
  /// @throws UsageError  a label smoothing outside [0, 1]
  auto operator()(CrossEntropyOptions options) const -> Loss;
};
inline constexpr CrossEntropy cross_entropy{};

struct NegativeLogLikelihood {
  /// The same of logarithms of probabilities.
  auto operator()(const at::Tensor& log_probabilities, const at::Tensor& classes) const -> at::Tensor;
  auto operator()(NegativeLogLikelihoodOptions options) const -> Loss;
};
inline constexpr NegativeLogLikelihood negative_log_likelihood{};

struct BinaryCrossEntropy {
  /// Mean binary cross entropy of logits against 0 or 1; shapes must be equal.
  auto operator()(const at::Tensor& logits, const at::Tensor& target) const -> at::Tensor;
  /// @throws UsageError  a weight that is not positive
  auto operator()(BinaryCrossEntropyOptions options) const -> Loss;
};
inline constexpr BinaryCrossEntropy binary_cross_entropy{};

struct Huber {
  /// ½ d², or δ (|d| − ½ δ) where the difference d is larger than δ (Huber, 1964); shapes must be equal.
  auto operator()(const at::Tensor& output, const at::Tensor& target) const -> at::Tensor;
  /// @throws UsageError  a delta that is not positive
  auto operator()(HuberOptions options) const -> Loss;
};
inline constexpr Huber huber{};

struct SmoothL1 {
  /// Huber's divided by β (Girshick, "Fast R-CNN", ICCV 2015); shapes must be equal.
  auto operator()(const at::Tensor& output, const at::Tensor& target) const -> at::Tensor;
  /// @throws UsageError  a beta that is not positive
  auto operator()(SmoothL1Options options) const -> Loss;
};
inline constexpr SmoothL1 smooth_l1{};

/// Mean squared error; shapes must be equal.
auto mean_squared_error(const at::Tensor& output, const at::Tensor& target) -> at::Tensor;

/// Mean absolute error; shapes must be equal.
auto mean_absolute_error(const at::Tensor& output, const at::Tensor& target) -> at::Tensor;

/// Kullback-Leibler divergence of probabilities `target` [N, …] from those whose logarithms are `output`: the sum over
/// an example's, the mean over examples.
auto kl_divergence(const at::Tensor& output, const at::Tensor& target) -> at::Tensor;

}  // namespace tensair
