#include <algorithm>
#include <cmath>
#include <tensair/model/mode.hpp>

namespace tensair {

LossWindows::LossWindows(const Convergence& rule)
    : window_(rule.window), windows_(rule.windows), factor_(rule.factor), before_(rule.windows) {}

auto LossWindows::add(double loss) -> bool {
  if (!std::isfinite(loss)) return false;
  sum_ += loss;
  if (++count_ < window_) return false;
  if (!std::isnan(latest_)) {
    before_[next_] = latest_;
    next_ = (next_ + 1) % windows_;
    filled_ = std::min(filled_ + 1, windows_);
  }
  latest_ = sum_ / static_cast<double>(count_);
  sum_ = 0;
  count_ = 0;
  return true;
}

auto LossWindows::converged() const -> bool {
  return enough() &&
         std::none_of(before_.begin(), before_.end(), [&](double mean) { return mean > latest_ * factor_; });
}

void LossWindows::clear() {
  sum_ = 0;
  count_ = filled_ = next_ = 0;
  latest_ = none;
}

}  // namespace tensair
