#include "noise.hpp"

namespace word2vec {

AliasTable::AliasTable(std::span<const double> weights) {
  double sum = 0;
  std::vector<std::int32_t> rows;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] > 0)) continue;
    rows.push_back(static_cast<std::int32_t>(i));
    sum += weights[i];
  }
  std::vector<double> left(rows.size());  // of each row's weight, in units of a cell's
  std::vector<std::size_t> small, large;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    left[k] = weights[static_cast<std::size_t>(rows[k])] / sum * static_cast<double>(rows.size());
    (left[k] < 1 ? small : large).push_back(k);
  }
  cells_.resize(rows.size());
  while (!small.empty() && !large.empty()) {
    const auto less = small.back(), more = large.back();
    small.pop_back();
    cells_[less] = {static_cast<float>(left[less]), rows[less], rows[more]};
    left[more] -= 1 - left[less];
    if (left[more] >= 1) continue;
    large.pop_back();
    small.push_back(more);
  }
  for (const auto& rest : {small, large}) {
    for (const auto k : rest) cells_[k] = {1, rows[k], rows[k]};
  }
}

}  // namespace word2vec
