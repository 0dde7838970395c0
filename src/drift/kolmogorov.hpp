#pragma once

#include <algorithm>

namespace tensair::drift {

/// How likely the distribution functions of two samples of n values are h/n apart or more, if they are from one
/// distribution without ties (Gnedenko and Korolyuk, 1951): 2 Σ (-1)^(j-1) C(2n, n - jh) / C(2n, n), j = 1, 2, …
inline auto tail_probability(int n, int h) -> double {
  if (h <= 0) return 1;
  double sum = 0;
  for (int j = 1; j * h <= n; ++j) {
    double term = 1;
    for (int i = 0; i < j * h; ++i) term *= static_cast<double>(n - i) / static_cast<double>(n + j * h - i);
    sum += j % 2 == 1 ? term : -term;
    if (term < 1e-18) break;
  }
  return std::clamp(2 * sum, 0.0, 1.0);
}

}  // namespace tensair::drift
