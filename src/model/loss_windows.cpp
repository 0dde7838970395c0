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

auto LossWindows::state() const -> std::vector<double> {
  const auto number = [](std::size_t n) { return static_cast<double>(n); };
  std::vector<double> state{number(window_), number(windows_), sum_,         number(count_),
                            latest_,         number(filled_),  number(next_)};
  state.insert(state.end(), before_.begin(), before_.end());
  return state;
}

void LossWindows::restore(std::span<const double> state) {
  clear();
  const auto fresh = this->state();
  if (state.size() != fresh.size() || state[0] != fresh[0] || state[1] != fresh[1]) return;
  sum_ = state[2];
  const auto number = [](double value, std::size_t most) {
    return value >= 0 ? static_cast<std::size_t>(std::min(value, static_cast<double>(most))) : 0;
  };
  count_ = number(state[3], window_ - 1);
  latest_ = state[4];
  filled_ = number(state[5], windows_);
  next_ = number(state[6], windows_ - 1);
  std::copy(state.begin() + 7, state.end(), before_.begin());
}

}  // namespace tensair
