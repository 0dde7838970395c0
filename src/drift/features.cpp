#include <fmt/format.h>

#include <algorithm>
#include <boost/math/distributions/gamma.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <cstdlib>
#include <random>
#include <tensair/drift/features.hpp>

#include "drift/kolmogorov.hpp"

namespace tensair::drift {

namespace {

constexpr int least_window = 20;

void check_common(std::string_view name, std::size_t features, int window, double alpha, double warning) {
  const auto refuse = [&](std::string what, std::string remedy) {
    throw UsageError{std::move(what), std::string{name}, std::move(remedy)};
  };
  if (features == 0) refuse("rows without features", "Say how many numbers a row has.");
  if (window < least_window) refuse(fmt::format("window cannot be {}", window), "Give 20 or more.");
  for (const double significance : {alpha, warning}) {
    if (!(significance > 0 && significance < 1))
      refuse(fmt::format("a significance cannot be {}", significance), "Give more than 0 and less than 1.");
  }
}

void expect_row(std::string_view name, std::span<const double> row, std::size_t features) {
  if (row.size() != features) [[unlikely]] {
    throw BadValue{fmt::format("a row of {} numbers", row.size()), std::string{name},
                   fmt::format("Give it {} a row.", features)};
  }
  for (const double value : row) expect_number(name, value);
}

/// How far apart the distribution functions of two sorted samples of the same size are, as a number of values.
auto distance(const std::vector<double>& a, const std::vector<double>& b) -> int {
  int greatest = 0;
  std::size_t i = 0, k = 0;
  while (i < a.size() && k < b.size()) {
    const double value = std::min(a[i], b[k]);
    while (i < a.size() && a[i] == value) ++i;
    while (k < b.size() && b[k] == value) ++k;
    greatest = std::max(greatest, std::abs(static_cast<int>(i) - static_cast<int>(k)));
  }
  return greatest;
}

auto level_of(double p_value, double alpha, double warning) -> DriftLevel {
  return p_value < alpha ? DriftLevel::drift : p_value < warning ? DriftLevel::warning : DriftLevel::none;
}

}  // namespace

// --- Kolmogorov–Smirnov ----------------------------------------------------------------------------------------------

KsFeatures::KsFeatures(std::size_t features, ks_features parameters)
    : features_(features), parameters_(parameters), reference_(features), block_(features) {
  check_common("ks_features", features, parameters.window, parameters.alpha, parameters.warning);
}

void KsFeatures::reset() {
  *this = KsFeatures{features_, parameters_};
}

auto KsFeatures::update(std::span<const double> row) -> DriftLevel {
  expect_row("ks_features", row, features_);
  for (std::size_t f = 0; f < features_; ++f) block_[f].push_back(row[f]);
  if (block_.front().size() < static_cast<std::size_t>(parameters_.window)) return DriftLevel::none;

  for (auto& column : block_) std::sort(column.begin(), column.end());
  if (!has_reference_) {
    std::swap(reference_, block_);
    for (auto& column : block_) column.clear();
    has_reference_ = true;
    return DriftLevel::none;
  }
  p_values_.clear();
  for (std::size_t f = 0; f < features_; ++f) {
    p_values_.push_back(tail_probability(parameters_.window, distance(reference_[f], block_[f])));
    block_[f].clear();
  }
  // Holm's first step decides whether there is any change at all; it is Bonferroni's.
  p_value_ = std::min(1.0, *std::min_element(p_values_.begin(), p_values_.end()) * static_cast<double>(features_));
  const auto level = level_of(p_value_, parameters_.alpha, parameters_.warning);
  if (level == DriftLevel::drift) has_reference_ = false;
  return level;
}

// --- Maximum mean discrepancy ----------------------------------------------------------------------------------------

Mmd::Mmd(std::size_t features, mmd parameters) : features_(features), parameters_(parameters) {
  check_common("mmd", features, parameters.window, parameters.alpha, parameters.warning);
  if (parameters.frequencies < 1) throw UsageError{"no frequencies", "mmd", "Give 1 or more."};
  if (!(parameters.bandwidth >= 0 && parameters.bandwidth <= greatest_value))
    throw UsageError{fmt::format("bandwidth cannot be {}", parameters.bandwidth), "mmd", "Give more than 0, or 0."};
  block_.resize(2 * static_cast<std::size_t>(parameters_.frequencies));
}

void Mmd::reset() {
  *this = Mmd{features_, parameters_};
}

void Mmd::draw() {
  // The bandwidth: the median of distances between neighbours in time, for rows drawn independently as good as any.
  bandwidth_ = parameters_.bandwidth;
  if (bandwidth_ == 0) {
    std::vector<double> distances;
    for (std::size_t i = features_; i + features_ <= rows_.size(); i += features_) {
      double squares = 0;
      for (std::size_t f = 0; f < features_; ++f) {
        const double off = rows_[i + f] - rows_[i - features_ + f];
        squares += off * off;
      }
      distances.push_back(std::sqrt(squares));
    }
    const auto middle = distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2);
    std::nth_element(distances.begin(), middle, distances.end());
    bandwidth_ = *middle > 0 ? *middle : 1;
  }
  // Normal numbers by their quantile: the standard library's differ from one library to the next.
  auto random = std::mt19937_64{parameters_.seed};
  const auto normal = boost::math::normal{};
  frequencies_.resize(static_cast<std::size_t>(parameters_.frequencies) * features_);
  for (auto& frequency : frequencies_) {
    const double uniform = (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53;
    frequency = boost::math::quantile(normal, uniform) / bandwidth_;
  }
}

void Mmd::add_features(std::span<const double> row, std::span<double> to) const {
  const auto count = static_cast<std::size_t>(parameters_.frequencies);
  for (std::size_t i = 0; i < count; ++i) {
    double phase = 0;
    for (std::size_t f = 0; f < features_; ++f) phase += frequencies_[i * features_ + f] * row[f];
    to[2 * i] += std::cos(phase);
    to[2 * i + 1] += std::sin(phase);
  }
}

void Mmd::learn_reference() {
  draw();
  const auto size = block_.size();
  const auto n = static_cast<double>(parameters_.window);
  reference_.assign(size, 0);
  std::vector<double> products(size * size), one(size);
  for (std::size_t begin = 0; begin < rows_.size(); begin += features_) {
    std::fill(one.begin(), one.end(), 0);
    add_features(std::span{rows_}.subspan(begin, features_), one);
    for (std::size_t i = 0; i < size; ++i) {
      reference_[i] += one[i];
      for (std::size_t k = 0; k <= i; ++k) products[i * size + k] += one[i] * one[k];
    }
  }
  // The squared length of the difference of two means of n has mean 2 tr Σ / n and variance 8 tr Σ² / n².
  double trace = 0, squares = 0;
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t k = 0; k <= i; ++k) {
      const double covariance = (products[i * size + k] - reference_[i] * reference_[k] / n) / (n - 1);
      squares += covariance * covariance * (i == k ? 1 : 2);
      if (i == k) trace += covariance;
    }
  }
  const double mean = 2 * trace / n, variance = 8 * squares / (n * n);
  // What is left where all rows are equal is rounding.
  const bool varies = trace > 1e-12;
  shape_ = varies ? mean * mean / variance : 0;
  scale_ = varies ? variance / mean : 0;
  has_reference_ = true;
  rows_.clear();
}

auto Mmd::update(std::span<const double> row) -> DriftLevel {
  expect_row("mmd", row, features_);
  if (!has_reference_) {
    rows_.insert(rows_.end(), row.begin(), row.end());
    if (rows_.size() == static_cast<std::size_t>(parameters_.window) * features_) learn_reference();
    return DriftLevel::none;
  }
  add_features(row, block_);
  if (++in_block_ < static_cast<std::uint64_t>(parameters_.window)) return DriftLevel::none;

  const auto n = static_cast<double>(parameters_.window);
  double squares = 0;
  for (std::size_t i = 0; i < block_.size(); ++i) {
    const double off = (block_[i] - reference_[i]) / n;
    squares += off * off;
  }
  discrepancy_ = squares / parameters_.frequencies;
  if (shape_ > 0) {
    p_value_ = boost::math::cdf(boost::math::complement(boost::math::gamma_distribution<>{shape_, scale_}, squares));
  } else {
    p_value_ = squares > 1e-12 ? 0 : 1;  // all rows of the reference were equal
  }
  std::fill(block_.begin(), block_.end(), 0);
  in_block_ = 0;
  const auto level = level_of(p_value_, parameters_.alpha, parameters_.warning);
  if (level == DriftLevel::drift) has_reference_ = false;
  return level;
}

}  // namespace tensair::drift
