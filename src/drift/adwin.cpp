#include <algorithm>
#include <cmath>
#include <tensair/drift/adwin.hpp>

// The window is kept as buckets: at most five of each power of two, the newest the smallest. When there are six, the
// two oldest become one of the next size. A test walks from the oldest bucket to the newest and compares the means on
// both sides of every border.
//
// Sums are formed in the order in which MOA forms them, so that decisions agree to the last bit.

namespace tensair::drift {

namespace {

auto bucket_size(std::size_t row) -> double {
  return std::ldexp(1.0, static_cast<int>(row));
}

/// By how much the squares about the mean of two sets together exceed those of each.
auto between(double n1, double mean1, double n2, double mean2) -> double {
  return n1 * n2 * (mean1 - mean2) * (mean1 - mean2) / (n1 + n2);
}

}  // namespace

void Adwin::insert(double value) {
  ++width_;
  auto& newest = rows_.front();
  newest.totals[newest.size] = value;
  newest.squares[newest.size] = 0;
  ++newest.size;
  if (width_ > 1) {
    const auto width = static_cast<double>(width_), before = width - 1;
    const double off = value - total_ / before;
    squares_ += before * off * off / width;
  }
  total_ += value;
  if (newest.size > most) merge_full_rows();
}

void Adwin::merge_full_rows() {
  for (std::size_t i = 0; rows_[i].size > most; ++i) {
    if (i + 1 == rows_.size()) rows_.emplace_back();
    auto& row = rows_[i];
    auto& next = rows_[i + 1];
    const double n = bucket_size(i);
    next.totals[next.size] = row.totals[0] + row.totals[1];
    next.squares[next.size] = row.squares[0] + row.squares[1] + between(n, row.totals[0] / n, n, row.totals[1] / n);
    ++next.size;
    std::copy(row.totals.begin() + 2, row.totals.end(), row.totals.begin());
    std::copy(row.squares.begin() + 2, row.squares.end(), row.squares.begin());
    row.size -= 2;
  }
}

void Adwin::drop_oldest() {
  auto& row = rows_.back();
  const double n = bucket_size(rows_.size() - 1);
  width_ -= static_cast<std::uint64_t>(n);
  total_ -= row.totals[0];
  const auto width = static_cast<double>(width_);
  squares_ -= row.squares[0] + between(n, row.totals[0] / n, width, total_ / width);
  std::copy(row.totals.begin() + 1, row.totals.end(), row.totals.begin());
  std::copy(row.squares.begin() + 1, row.squares.end(), row.squares.begin());
  if (--row.size == 0 && rows_.size() > 1) rows_.pop_back();
}

auto Adwin::test() -> bool {
  bool drifts = false;
  while (width_ > static_cast<std::uint64_t>(parameters_.min_window) && find_cut()) {
    drifts = true;
    drop_oldest();
  }
  return drifts;
}

auto Adwin::find_cut() -> bool {
  const auto width = static_cast<double>(width_);
  const double least = parameters_.min_part;
  const double log_term = std::log(2 * std::log(width) / parameters_.delta);
  const double variance = squares_ / width;
  const double spread = 2 * variance * log_term, tail = 2.0 / 3 * log_term;

  double older = 0, newer = width, older_total = 0, newer_total = total_;
  for (std::size_t i = rows_.size(); i-- > 0;) {
    const auto& row = rows_[i];
    const double n = bucket_size(i);
    for (std::size_t k = 0; k < row.size; ++k) {
      older += n;
      newer -= n;
      older_total += row.totals[k];
      newer_total -= row.totals[k];
      if (newer <= least + 1) return false;  // it only becomes shorter
      if (older <= least + 1) continue;
      const double apart = older_total / older - newer_total / newer;
      const double inverse = 1 / (older - least + 1) + 1 / (newer - least + 1);
      // The root alone is less than the bound: mostly this says enough, and is cheaper.
      if (apart * apart < inverse * spread * 0.999'999) continue;
      if (std::abs(apart) > std::sqrt(inverse * spread) + tail * inverse) {
        statistic_ = -apart;
        return true;
      }
    }
  }
  return false;
}

auto Adwin::is_sound() const -> bool {
  constexpr std::size_t most_rows = 60;
  if (rows_.empty() || rows_.size() > most_rows || since_test_ < 0 || since_test_ >= parameters_.clock) return false;
  std::uint64_t width = 0;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].size > most || (rows_[i].size == 0 && rows_.size() > 1)) return false;
    width += rows_[i].size << i;
  }
  return width == width_;
}

}  // namespace tensair::drift
