#include <bit>
#include <cmath>
#include <tensair/drift/optwin.hpp>
#include <utility>

#include "drift/optwin_cuts.hpp"

namespace tensair::drift {

Optwin::Optwin(optwin parameters) : parameters_(parameters) {
  check(parameters_);
  if (parameters_.max_window < parameters_.min_window)
    throw UsageError{"max_window is less than min_window", std::string{name}, "Give a longer max_window."};
  cuts_ = OptwinCuts::with(parameters_);
}

void Optwin::reset() {
  first_ = size_ = cut_ = 0;
  older_ = newer_ = {};
  origin_ = statistic_ = 0;
}

auto Optwin::Part::deviation(double n) const -> double {
  const double mean = sum.value() / n;
  const double variance = squares.value() / n - mean * mean;
  return variance > 0 ? std::sqrt(variance) : 0;
}

auto Optwin::at(std::uint64_t i) const -> double {
  return ring_[(first_ + i) & (ring_.size() - 1)];
}

auto Optwin::estimate() const -> double {
  if (size_ == 0) return 0;
  return origin_ + newer_.sum.value() / static_cast<double>(size_ - cut_);
}

auto Optwin::window() const -> std::vector<double> {
  std::vector<double> values(size_);
  for (std::uint64_t i = 0; i < size_; ++i) values[i] = at(i);
  return values;
}

void Optwin::restore(std::vector<double> values) {
  const auto most = static_cast<std::size_t>(parameters_.max_window);
  if (parameters_.max_window < parameters_.min_window || values.size() > most || cut_ > values.size())
    throw_damaged_state(name);
  for (const double value : values) {
    // They are less the origin, which can double them.
    if (!(value >= -2 * greatest_value && value <= 2 * greatest_value)) throw_damaged_state(name);
  }
  size_ = values.size();
  first_ = 0;
  ring_ = std::move(values);
  ring_.resize(std::bit_ceil(ring_.size()));
  older_ = newer_ = {};
  for (std::uint64_t i = 0; i < size_; ++i) (i < cut_ ? older_ : newer_).add(ring_[i]);
  cuts_ = OptwinCuts::with(parameters_);
}

void Optwin::insert(double value) {
  if (size_ == 0) origin_ = value;
  value -= origin_;
  if (size_ == ring_.size()) {
    auto longer = window();
    first_ = 0;
    ring_ = std::move(longer);
    ring_.resize(std::bit_ceil(size_ + 1));
  }
  ring_[(first_ + size_) & (ring_.size() - 1)] = value;
  ++size_;
  newer_.add(value);
  if (size_ > static_cast<std::uint64_t>(parameters_.max_window)) {
    // The oldest one leaves, and the older part gets the next one in its place.
    move_cut(cut_ + 1);
    older_.remove(at(0));
    ++first_;
    --size_;
    --cut_;
  }
}

void Optwin::move_cut(std::uint64_t to) {
  for (; cut_ < to; ++cut_) {
    newer_.remove(at(cut_));
    older_.add(at(cut_));
  }
  for (; cut_ > to; --cut_) {
    older_.remove(at(cut_ - 1));
    newer_.add(at(cut_ - 1));
  }
}

void Optwin::begin_anew(double value) {
  first_ = size_ = cut_ = 0;
  older_ = newer_ = {};
  insert(value);
}

auto Optwin::update(double value) -> DriftLevel {
  expect_number(name, value);
  insert(value);
  if (size_ < static_cast<std::uint64_t>(parameters_.min_window)) return DriftLevel::none;
  const auto& cut = cuts_->at(size_);
  move_cut(cut.older);

  const auto older = static_cast<double>(cut_), newer = static_cast<double>(size_ - cut_);
  const double rise = newer_.sum.value() / newer - older_.sum.value() / older;
  if (!(rise > 0)) return DriftLevel::none;
  const double older_deviation = older_.deviation(older) + parameters_.noise;
  const double newer_deviation = newer_.deviation(newer) + parameters_.noise;
  // As in the authors' program: standard deviations where Welch's test has variances.
  const double t = rise / std::sqrt(newer_deviation / newer + older_deviation / older);
  const double ratio = newer_deviation * newer_deviation / (older_deviation * older_deviation);
  if (t > cut.drift || ratio > cut.ratio) {
    statistic_ = t;
    begin_anew(value);
    return DriftLevel::drift;
  }
  if (t <= cut.warning) return DriftLevel::none;
  statistic_ = t;
  return DriftLevel::warning;
}

}  // namespace tensair::drift
