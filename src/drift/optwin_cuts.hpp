#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <tensair/drift/optwin.hpp>
#include <vector>

namespace tensair::drift {

/// Where windows of each length are cut, and what their tests must exceed. Computed up to the length that has been
/// asked for; one for all detectors of a process with the same parameters.
class OptwinCuts {
 public:
  struct Cut {
    std::uint64_t older = 0;        ///< values in the older part
    double ratio = 0;               ///< of variances, the F-test's
    double drift = 0, warning = 0;  ///< the t-test's
  };

  static auto with(const optwin& parameters) -> std::shared_ptr<OptwinCuts>;
  explicit OptwinCuts(const optwin& parameters);

  /// For windows of `length` values, from min_window to max_window.
  auto at(std::uint64_t length) -> const Cut& {
    if (length > ready_.load(std::memory_order_acquire)) [[unlikely]]
      extend(length);
    return cuts_[length];
  }

 private:
  // How far the change that is certain to be seen is from ρ; positive: it is less.
  auto margin(double older, double length) const -> double;
  auto ratio(double older, double newer) const -> double;
  auto freedom(double older, double newer, double ratio) const -> double;
  // Where the margin is greatest.
  auto best_share(double length) const -> double;
  auto first_with_optimum() const -> std::uint64_t;
  auto optimum(std::uint64_t length, std::uint64_t before) const -> std::uint64_t;
  void extend(std::uint64_t length);

  double rho_, confidence_, warning_;
  std::uint64_t first_optimum_;
  std::vector<Cut> cuts_;
  std::atomic<std::uint64_t> ready_;
  std::mutex mutex_;
};

}  // namespace tensair::drift
