#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <limits>
#include <tensair/drift/stepd.hpp>

namespace tensair::drift {

namespace {

/// What |z| must exceed for a test of that significance, both sides together.
auto critical(double significance) -> double {
  if (significance <= 0) return std::numeric_limits<double>::infinity();
  if (significance >= 1) return 0;
  return boost::math::quantile(boost::math::complement(boost::math::normal{}, significance / 2));
}

}  // namespace

Stepd::Stepd(stepd parameters) : parameters_(parameters) {
  check(parameters_);
  values_.resize(static_cast<std::size_t>(parameters_.window));
  limits();
}

void Stepd::limits() {
  drift_z_ = critical(parameters_.drift);
  warning_z_ = critical(parameters_.warning);
}

void Stepd::reset() {
  next_ = older_ = recent_ = 0;
  older_errors_ = recent_errors_ = statistic_ = 0;
  drifted_ = false;
}

auto Stepd::update(double error) -> DriftLevel {
  expect_fraction(name, error);
  if (drifted_) [[unlikely]]
    reset();
  auto& place = values_[next_];
  if (++next_ == values_.size()) next_ = 0;
  if (recent_ == values_.size()) {
    older_errors_ += place;
    recent_errors_ -= place;
    ++older_;
  } else {
    ++recent_;
  }
  place = error == 1 ? 1 : 0;
  recent_errors_ += error;
  if (older_ < values_.size()) return DriftLevel::none;

  const auto older = static_cast<double>(older_), recent = static_cast<double>(recent_);
  const double older_right = older - older_errors_, recent_right = recent - recent_errors_;
  const double inverse = 1 / older + 1 / recent;
  const double share = (older_right + recent_right) / (older + recent);
  const double apart = std::abs(older_right / older - recent_right / recent) - inverse / 2;
  const double deviation = std::sqrt(share * (1 - share) * inverse);
  // Both 0 and negative `apart` come to an infinite z, and with it a drift.
  if (deviation == 0 && !parameters_.as_moa) return DriftLevel::none;
  const double z = std::abs(apart / deviation);
  const bool drifts = z > drift_z_;
  if (!drifts && !(z > warning_z_)) return DriftLevel::none;
  statistic_ = z;
  drifted_ = drifts;
  return drifts ? DriftLevel::drift : DriftLevel::warning;
}

}  // namespace tensair::drift
