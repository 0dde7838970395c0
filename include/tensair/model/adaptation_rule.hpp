#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tensair/model/adaptation.hpp>
#include <tensair/model/sign_test.hpp>
#include <vector>

namespace tensair {

/// What came of one batch, as it was predicted before it was trained on.
struct BatchOutcome {
  std::uint64_t batch = 0;    ///< its place in the common order
  std::uint64_t command = 0;  ///< the number of the last mode command that its replica knew
  bool counts = false;        ///< the mode was `automatic`
  std::uint64_t examples = 0;
  double loss = 0;
  std::uint64_t challenger = 0;  ///< the number of the decision that started the one that predicted too; 0: none
  double challenger_loss = 0;
  std::vector<std::uint8_t> errors{};  ///< of each example, when errors are watched: 1 if the model was wrong, and 2
                                       ///< more if the challenger was

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& batch& command& counts& examples& loss& challenger& challenger_loss& errors;
  }
};

/// Which decisions follow from outcomes. A function of their sequence alone: two that are given the same one decide the
/// same, wherever they are.
class AdaptationRule {
 public:
  /// @param lag  batches between a decision and the first one for which it holds
  AdaptationRule(Automatic wanted, std::size_t lag);

  /// Of all batches, in the common order.
  /// @return the decisions to which it leads
  /// @throws Error  a value that is finite, and outside the detector's domain
  auto take(const BatchOutcome& outcome) -> std::vector<Decision>;

  /// What it has come to know and decided, for a checkpoint: as much as makes another one go on that takes batches from
  /// the first place on. A warning is not gone on with, nor a challenger; if there was a drift before the challenger,
  /// training has begun.
  auto state() const -> std::string;
  /// What is of another detector, or of windows of another size, is left out.
  /// Decisions are numbered from 1 on again.
  /// @return whether the model is to train
  auto restore(std::string_view state) -> bool;

  /// A decision of before the state, which nobody had obeyed yet: it holds from the first batch on.
  auto again(Deed deed) -> Decision;

  /// Batches whose loss was not finite, of which the detector was told nothing.
  auto rejected() const -> std::uint64_t { return rejected_; }

 private:
  void begin_anew();
  void saw(double value);
  void saw_drift();
  void calm();
  void compare(const BatchOutcome& outcome);
  void judge_challenger();
  void drop_challenger(Why why);
  void start_training(Why why);
  void decide(Deed deed, Why why, double statistic);

  Automatic wanted_;
  std::size_t lag_;
  LossWindows windows_;
  bool training_ = true;
  std::uint64_t command_ = 0;
  bool warned_ = false;
  std::size_t quiet_ = 0;  // values since the last that was a warning
  // The challenger that is being tried: the decision that started it; 0: none.
  std::uint64_t challenger_ = 0;
  SignTest test_;
  std::uint64_t tried_ = 0;  // examples
  bool drifted_ = false;     // and whether there was a drift meanwhile, or before it
  std::uint64_t rejected_ = 0;
  // Of the batch that is being taken:
  std::uint64_t batch_ = 0, example_ = 0;
  bool drifts_ = false;
  std::vector<Decision> decided_;
  std::uint64_t number_ = 0;
};

}  // namespace tensair
