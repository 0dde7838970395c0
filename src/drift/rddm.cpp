#include <cmath>
#include <tensair/drift/rddm.hpp>

namespace tensair::drift {

Rddm::Rddm(rddm parameters) : parameters_(parameters) {
  check(parameters_);
  values_.resize(static_cast<std::size_t>(parameters_.min_stable));
  last_ = values_.size() - 1;
}

void Rddm::forget_lowest() {
  least_sum_ = least_rate_ = least_deviation_ = std::numeric_limits<double>::max();
}

void Rddm::note_lowest(double deviation) {
  if (!(rate_ + deviation < least_sum_)) return;
  least_rate_ = rate_;
  least_deviation_ = deviation;
  least_sum_ = rate_ + deviation;
}

// The rate of the values kept, as if they were all that have come. After a drift those are the ones since the warning.
void Rddm::rebuild() {
  const auto size = values_.size();
  count_ = 0;
  rate_ = 1;
  if (drifted_) forget_lowest();
  if (warned_at_ != nowhere) {
    kept_ = (last_ + size - warned_at_) % size + 1;
  }
  auto place = (last_ + size + 1 - kept_) % size;
  for (std::uint64_t i = 0; i < kept_; ++i) {
    const auto n = static_cast<double>(++count_);
    rate_ += (values_[place] - rate_) / n;
    if (++place == size) place = 0;
    if (drifted_ && static_cast<std::int64_t>(count_) > parameters_.min_values)
      note_lowest(std::sqrt(rate_ * (1 - rate_) / n));
  }
  warned_at_ = warned_since_ = nowhere;
  rebuilds_ = drifted_ = false;
}

auto Rddm::update(double error) -> DriftLevel {
  expect_fraction(name, error);
  if (rebuilds_) [[unlikely]]
    rebuild();
  if (++last_ == values_.size()) last_ = 0;
  values_[last_] = error == 1 ? 1 : 0;
  if (kept_ < values_.size()) {
    ++kept_;
  } else if (warned_at_ == last_) {
    warned_at_ = nowhere;
  }
  const auto n = static_cast<double>(++count_);
  rate_ += (error - rate_) / n;
  const double deviation = std::sqrt(rate_ * (1 - rate_) / n);
  ++seen_;
  // MOA counts from 1.
  const auto seen = static_cast<std::int64_t>(count_) + 1;
  if (seen <= parameters_.min_values) return DriftLevel::none;
  note_lowest(deviation);

  const auto above = [&](double level) { return rate_ + deviation > least_rate_ + level * least_deviation_; };
  const auto drifts = [&] {
    statistic_ = (rate_ + deviation - least_rate_) / least_deviation_;
    rebuilds_ = drifted_ = true;
    return DriftLevel::drift;
  };
  if (above(parameters_.drift_level)) {
    if (warned_since_ == nowhere) kept_ = 1;
    return drifts();
  }
  if (above(parameters_.warning_level)) {
    if (warned_since_ != nowhere && warned_since_ + static_cast<std::uint64_t>(parameters_.warning_limit) <= seen_) {
      kept_ = 1;
      warned_at_ = warned_since_ = nowhere;
      return drifts();
    }
    if (warned_since_ == nowhere) {
      warned_since_ = seen_;
      warned_at_ = last_;
    }
    statistic_ = (rate_ + deviation - least_rate_) / least_deviation_;
    return DriftLevel::warning;
  }
  warned_at_ = warned_since_ = nowhere;
  if (seen > parameters_.max_concept) rebuilds_ = true;
  return DriftLevel::none;
}

}  // namespace tensair::drift
