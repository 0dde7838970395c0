#include <cmath>
#include <tensair/drift/ecdd.hpp>

namespace tensair::drift {

namespace {

/// The control limit L for an error rate p, in standard deviations (table 1 of the paper).
auto control_limit(int run_length, double p) -> double {
  const double p2 = p * p, p3 = p2 * p, p5 = p3 * p2, p7 = p5 * p2;
  switch (run_length) {
    case 100:
      return 2.76 - 6.23 * p + 18.12 * p3 - 312.45 * p5 + 1002.18 * p7;
    case 400:
      return 3.97 - 6.56 * p + 48.73 * p3 - 330.13 * p5 + 848.18 * p7;
    default:
      return 1.17 + 7.56 * p - 21.24 * p3 + 112.12 * p5 - 987.23 * p7;
  }
}

}  // namespace

auto Ecdd::has_limits(int run_length) -> bool {
  return run_length == 100 || run_length == 400 || run_length == 1000;
}

Ecdd::Ecdd(ecdd parameters) : parameters_(parameters) {
  check(parameters_);
  if (!has_limits(parameters_.run_length))
    throw UsageError{"there are no control limits for that run_length", std::string{name}, "Give 100, 400 or 1000."};
}

void Ecdd::reset() {
  *this = Ecdd{parameters_};
}

auto Ecdd::update(double error) -> DriftLevel {
  expect_fraction(name, error);
  if (drifted_) [[unlikely]]
    reset();
  const double lambda = parameters_.lambda;
  errors_ += error;
  const double rate = errors_ / static_cast<double>(++count_);
  fading_ *= (1 - lambda) * (1 - lambda);
  average_ += lambda * (error - average_);
  // MOA counts from 1, and a drift needs one more than a warning.
  const auto seen = static_cast<std::int64_t>(count_) + 1;
  if (seen < parameters_.min_values) return DriftLevel::none;

  const double deviation = std::sqrt(rate * (1 - rate) * lambda * (1 - fading_) / (2 - lambda));
  const double limit = control_limit(parameters_.run_length, rate) * deviation;
  const bool drifts = seen > parameters_.min_values && average_ > rate + limit;
  if (!drifts && !(average_ > rate + 0.5 * limit)) return DriftLevel::none;
  statistic_ = (average_ - rate) / deviation;
  drifted_ = drifts;
  return drifts ? DriftLevel::drift : DriftLevel::warning;
}

}  // namespace tensair::drift
