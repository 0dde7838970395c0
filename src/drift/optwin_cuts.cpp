#include "drift/optwin_cuts.hpp"

#include <algorithm>
#include <boost/math/distributions/fisher_f.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <map>
#include <tuple>

// The cut of a window of n values is the last place c at which a rise by ρ standard deviations is certain to be seen
// when c values are older and n - c are newer: ρ ≥ t √(1/c + f/(n - c)), f and t being the quantiles of Fisher's and of
// Student's distribution. As a function of c the right side has one minimum, so the places that satisfy this are one
// interval; it is empty for short windows (those are cut in the middle), and its end moves to the right as windows
// grow.

namespace tensair::drift {

namespace {

// In double precision, and without exceptions: an argument out of range gives a number that fails comparisons.
namespace policies = boost::math::policies;
using Fast = policies::policy<policies::promote_double<false>, policies::domain_error<policies::ignore_error>,
                              policies::overflow_error<policies::ignore_error>,
                              policies::evaluation_error<policies::ignore_error>>;
using Fisher = boost::math::fisher_f_distribution<double, Fast>;
using Student = boost::math::students_t_distribution<double, Fast>;

}  // namespace

auto OptwinCuts::with(const optwin& parameters) -> std::shared_ptr<OptwinCuts> {
  static std::mutex mutex;
  static std::map<std::tuple<double, double, double, int, int>, std::weak_ptr<OptwinCuts>> known;
  const auto lock = std::scoped_lock{mutex};
  auto& entry =
      known[{parameters.rho, parameters.confidence, parameters.warning, parameters.min_window, parameters.max_window}];
  auto cuts = entry.lock();
  if (!cuts) entry = cuts = std::make_shared<OptwinCuts>(parameters);
  return cuts;
}

OptwinCuts::OptwinCuts(const optwin& parameters)
    : rho_(parameters.rho),
      confidence_(std::pow(parameters.confidence, 0.25)),
      warning_(parameters.warning),
      first_optimum_(first_with_optimum()),
      cuts_(static_cast<std::size_t>(parameters.max_window) + 1),
      ready_(static_cast<std::uint64_t>(parameters.min_window) - 1) {}

auto OptwinCuts::ratio(double older, double newer) const -> double {
  return quantile(Fisher{older - 1, newer - 1}, confidence_);
}

// Welch's degrees of freedom, of parts whose standard deviations are as far apart as the F-test allows.
auto OptwinCuts::freedom(double older, double newer, double ratio) const -> double {
  const double share = 1 / (ratio * ratio);
  const double sum = 1 / older + share / newer;
  return sum * sum / (1 / (older * older * (older - 1)) + share * share / (newer * newer * (newer - 1)));
}

auto OptwinCuts::margin(double older, double length) const -> double {
  const double newer = length - older;
  const double f = ratio(older, newer);
  const double t = quantile(Student{freedom(older, newer, f)}, confidence_);
  return rho_ - t * std::sqrt(1 / older + f / newer);
}

auto OptwinCuts::best_share(double length) const -> double {
  // Golden section.
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double low = 0.1, high = 0.9;
  double a = high - golden * (high - low), b = low + golden * (high - low);
  double at_a = margin(a * length, length), at_b = margin(b * length, length);
  while (high - low > 1e-6) {
    if (at_a > at_b) {
      high = b;
      b = std::exchange(a, b - golden * (b - low));
      at_b = std::exchange(at_a, margin(a * length, length));
    } else {
      low = a;
      a = std::exchange(b, a + golden * (high - a));
      at_a = std::exchange(at_b, margin(b * length, length));
    }
  }
  return (low + high) / 2;
}

auto OptwinCuts::first_with_optimum() const -> std::uint64_t {
  const auto has_one = [&](std::uint64_t length) {
    const auto n = static_cast<double>(length);
    return margin(best_share(n) * n, n) >= 0;
  };
  constexpr std::uint64_t none = std::uint64_t{1} << 24, least = 8;
  std::uint64_t without = least, with = 2 * least;
  while (with < none && !has_one(with)) without = std::exchange(with, 2 * with);
  while (with - without > 1) {
    const auto middle = without + (with - without) / 2;
    (has_one(middle) ? with : without) = middle;
  }
  return with;
}

auto OptwinCuts::optimum(std::uint64_t length, std::uint64_t before) const -> std::uint64_t {
  const auto n = static_cast<double>(length);
  const auto holds = [&](std::uint64_t older) {
    return older + 2 <= length && margin(static_cast<double>(older), n) >= 0;
  };
  // With one value more, the place is one further at least, and mostly just that.
  if (auto older = before + 1; before != 0 && holds(older)) {
    while (holds(older + 1)) ++older;
    return older;
  }
  double low = best_share(n), high = 1 - 2 / n;
  while ((high - low) * n > 1e-9) {
    const double middle = (low + high) / 2;
    (margin(middle * n, n) >= 0 ? low : high) = middle;
  }
  return static_cast<std::uint64_t>(low * n);
}

void OptwinCuts::extend(std::uint64_t length) {
  const auto lock = std::scoped_lock{mutex_};
  for (auto n = ready_.load(std::memory_order_relaxed) + 1; n <= length; ++n) {
    auto& cut = cuts_[n];
    if (n < first_optimum_) {
      cut.older = n / 2 + 1;
    } else {
      cut.older = optimum(n, n == first_optimum_ ? 0 : cuts_[n - 1].older);
    }
    const auto older = static_cast<double>(cut.older), newer = static_cast<double>(n) - older;
    cut.ratio = ratio(older, newer);
    const auto student = Student{freedom(older, newer, cut.ratio)};
    cut.drift = quantile(student, confidence_);
    cut.warning = quantile(student, warning_);
    ready_.store(n, std::memory_order_release);
  }
}

}  // namespace tensair::drift
