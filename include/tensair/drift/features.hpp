#pragma once

#include <cstdint>
#include <span>
#include <tensair/drift/detector.hpp>
#include <vector>

// Drift without labels: whether the inputs of a model, or its embeddings, still have the distribution they had.
//
// Both tests compare blocks of `window` rows with the first block, the reference. That is kept until there is a drift,
// after which the next rows become the reference. So a slow change is seen too, once it has gone far enough.

namespace tensair {

/// Parameters of the feature-wise Kolmogorov–Smirnov test.
struct ks_features {
  int window = 500;       ///< rows of the reference and of each block that is compared with it
  double alpha = 0.001;   ///< how likely a block gives a false alarm, over all features together
  double warning = 0.01;  ///< the same of a warning
};

/// Parameters of the test by maximum mean discrepancy.
struct mmd {
  int window = 500;        ///< rows of the reference and of each block that is compared with it
  double alpha = 0.001;    ///< how likely a block gives a false alarm
  double warning = 0.01;   ///< the same of a warning
  int frequencies = 64;    ///< random features, a cosine and a sine each
  double bandwidth = 0;    ///< of the Gaussian kernel, in units of the rows' distance; 0: half the rows are nearer
  std::uint64_t seed = 1;  ///< of the random features
};

namespace drift {

/// Two-sample Kolmogorov–Smirnov tests, one a feature, with Holm's correction (Rabanser, Günnemann, Lipton, "Failing
/// loudly: an empirical study of methods for detecting dataset shift", NeurIPS 2019, find this the better simple
/// choice). Time: O(d log w) a row of d features, at the end of a block. Memory: two blocks.
///
/// Sees changes of single features; not those of how features go together: `Mmd` does.
///
/// @code
/// tensair::drift::KsFeatures detector{3, {.window = 1'000}};
/// if (detector.update(std::vector{0.1, 2.0, -1.0}) == tensair::DriftLevel::drift) std::puts("other inputs");
/// @endcode
class KsFeatures {
 public:
  /// @throws UsageError  no features, a window below 20, a significance outside (0, 1)
  explicit KsFeatures(std::size_t features, ks_features parameters = {});

  /// Takes a row, one number a feature. Says what a block has shown at its last row, else `none`.
  /// @throws BadValue  another number of features, or one that is not from -1e100 to 1e100
  auto update(std::span<const double> row) -> DriftLevel;
  void reset();

  /// Of each feature in the last block: the p-value of its test, before the correction. Empty before the first test.
  auto p_values() const -> const std::vector<double>& { return p_values_; }
  /// The least of them, corrected for their number; 1 before the first test.
  auto p_value() const -> double { return p_value_; }

 private:
  std::size_t features_;
  ks_features parameters_;
  std::vector<std::vector<double>> reference_, block_;  // a column each; the reference is sorted
  bool has_reference_ = false;
  std::vector<double> p_values_;
  double p_value_ = 1;
};

/// The maximum mean discrepancy of a Gaussian kernel (Gretton et al., "A kernel two-sample test", JMLR 13, 2012), by
/// random Fourier features (Rahimi and Recht, NIPS 2007; Zhao and Meng, "FastMMD", Neural Computation 27, 2015).
/// Without drift, it is a weighted sum of χ² variables, whose weights are the eigenvalues of the features' covariance;
/// a Gamma distribution of the same mean and variance stands for it. Time: O(d D) a row for D frequencies, and O(D²)
/// for each row of the reference. Memory: the reference's block, and D² numbers.
///
/// Sees any change of the distribution that is not small beside the kernel's width. Features must be of one scale.
///
/// @code
/// tensair::drift::Mmd detector{64, {.window = 1'000}};
/// if (detector.update(std::vector<double>(64)) == tensair::DriftLevel::drift) std::puts("other embeddings");
/// @endcode
class Mmd {
 public:
  /// @throws UsageError  no features, a window below 20, no frequencies, a significance outside (0, 1)
  explicit Mmd(std::size_t features, mmd parameters = {});

  /// Takes a row, one number a feature. Says what a block has shown at its last row, else `none`.
  /// @throws BadValue  another number of features, or one that is not from -1e100 to 1e100
  auto update(std::span<const double> row) -> DriftLevel;
  void reset();

  /// The squared discrepancy between the last block and the reference; 0 before the first test.
  auto discrepancy() const -> double { return discrepancy_; }
  auto p_value() const -> double { return p_value_; }
  /// The kernel's bandwidth, once there is a reference.
  auto bandwidth() const -> double { return bandwidth_; }

 private:
  void draw();
  void learn_reference();
  void add_features(std::span<const double> row, std::span<double> to) const;

  std::size_t features_;
  mmd parameters_;
  std::vector<double> rows_;               // the reference's, until it is complete
  std::vector<double> frequencies_;        // features_ numbers each
  std::vector<double> reference_, block_;  // sums of random features
  std::uint64_t in_block_ = 0;
  bool has_reference_ = false;
  double bandwidth_ = 0, shape_ = 0, scale_ = 0;
  double discrepancy_ = 0, p_value_ = 1;
};

}  // namespace drift
}  // namespace tensair
