#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <sstream>
#include <tensair/drift/kswin.hpp>

#include "drift/kolmogorov.hpp"

// The draws are those of Python's random.Random(seed).sample, so that what it says is what River's says. That is the
// Mersenne Twister, seeded by the key of one word as its authors' init_by_array does it (Matsumoto and Nishimura,
// 1998).

namespace tensair::drift {

namespace {

/// Gives std::mersenne_twister_engine the state that init_by_array makes of one word.
struct SeedByArray {
  std::uint32_t seed;

  using result_type = std::uint32_t;
  template <class Iterator>
  void generate(Iterator begin, Iterator end) const {
    const auto size = static_cast<std::size_t>(end - begin);
    const auto mixed = [&](std::size_t i, std::uint32_t factor) {
      const std::uint32_t before = begin[static_cast<std::ptrdiff_t>(i - 1)];
      return begin[static_cast<std::ptrdiff_t>(i)] ^ ((before ^ (before >> 30)) * factor);
    };
    begin[0] = 19650218U;
    for (std::size_t i = 1; i < size; ++i) {
      const std::uint32_t before = begin[static_cast<std::ptrdiff_t>(i - 1)];
      begin[static_cast<std::ptrdiff_t>(i)] = 1812433253U * (before ^ (before >> 30)) + static_cast<std::uint32_t>(i);
    }
    std::size_t i = 1;
    const auto step = [&] {
      if (++i < size) return;
      begin[0] = begin[static_cast<std::ptrdiff_t>(size - 1)];
      i = 1;
    };
    for (std::size_t k = 0; k < size; ++k) {
      begin[static_cast<std::ptrdiff_t>(i)] = mixed(i, 1664525U) + seed;
      step();
    }
    for (std::size_t k = 1; k < size; ++k) {
      begin[static_cast<std::ptrdiff_t>(i)] = mixed(i, 1566083941U) - static_cast<std::uint32_t>(i);
      step();
    }
    begin[0] = 0x8000'0000U;
  }
};

/// The least distance, as a number of values, that is significant and more than a tenth.
auto critical_distance(int n, double alpha) -> int {
  int h = n / 10 + 1;
  while (h <= n && tail_probability(n, h) > alpha) ++h;
  return h;
}

}  // namespace

Kswin::Kswin(kswin parameters) : parameters_(parameters) {
  check(parameters_);
  if (parameters_.window < 2 * parameters_.recent)
    throw UsageError{"window is less than twice recent", std::string{name}, "Give a longer window."};
  ring_.resize(static_cast<std::size_t>(parameters_.window));
  begin();
}

void Kswin::reset() {
  *this = Kswin{parameters_};
}

void Kswin::begin() {
  critical_ = critical_distance(parameters_.recent, parameters_.alpha);
  auto seed = SeedByArray{static_cast<std::uint32_t>(parameters_.seed)};
  random_.seed(seed);
}

auto Kswin::random_state() const -> std::string {
  auto text = std::ostringstream{};
  text << random_;
  return text.str();
}

void Kswin::restore(const std::string& random) {
  const auto window = static_cast<std::uint64_t>(parameters_.window);
  if (parameters_.window < 2 * parameters_.recent || ring_.size() != window || next_ >= window || size_ > window)
    throw_damaged_state(name);
  begin();
  // The last number is a position, which the library takes as it comes.
  auto numbers = std::istringstream{random};
  std::uint64_t last = 0;
  std::size_t count = 0;
  while (numbers >> last) ++count;
  if (count != Random::state_size + 1 || last > Random::state_size) throw_damaged_state(name);
  auto text = std::istringstream{random};
  if (!(text >> random_)) throw_damaged_state(name);
}

auto Kswin::estimate() const -> double {
  if (size_ == 0) return 0;
  double sum = 0;
  for (std::uint64_t i = 0; i < size_; ++i) sum += ring_[(next_ + ring_.size() - 1 - i) % ring_.size()];
  return sum / static_cast<double>(size_);
}

auto Kswin::random_bits(int bits) -> std::uint32_t {
  return static_cast<std::uint32_t>(random_()) >> (32 - bits);
}

auto Kswin::below(std::uint32_t n) -> std::uint32_t {
  const auto bits = static_cast<int>(std::bit_width(n));
  auto drawn = random_bits(bits);
  while (drawn >= n) drawn = random_bits(bits);
  return drawn;
}

void Kswin::draw_older() {
  const auto older = static_cast<std::uint32_t>(parameters_.window - parameters_.recent);
  const auto wanted = static_cast<std::uint32_t>(parameters_.recent);
  // Where there are few to draw from, Python takes them out of a list; where many, it draws until one is new.
  std::uint64_t few = 21;
  if (wanted > 5) {
    std::uint64_t power = 1;
    while (power < std::uint64_t{wanted} * 3) power *= 4;
    few += power;
  }
  const auto take = [&](std::uint32_t place) { drawn_.push_back(ring_[(next_ + place) % ring_.size()]); };
  drawn_.clear();
  if (older <= few) {
    pool_.resize(older);
    std::iota(pool_.begin(), pool_.end(), 0U);
    for (std::uint32_t i = 0; i < wanted; ++i) {
      const auto at = below(older - i);
      take(pool_[at]);
      pool_[at] = pool_[older - i - 1];
    }
  } else {
    pool_.assign(older, 0);
    for (std::uint32_t i = 0; i < wanted; ++i) {
      auto at = below(older);
      while (pool_[at] != 0) at = below(older);
      pool_[at] = 1;
      take(at);
    }
  }
}

// The greatest difference between the numbers of values up to some place, in both samples.
auto Kswin::distance() -> int {
  std::sort(drawn_.begin(), drawn_.end());
  std::sort(recent_.begin(), recent_.end());
  int greatest = 0;
  std::size_t a = 0, b = 0;
  while (a < drawn_.size() && b < recent_.size()) {
    const double value = std::min(drawn_[a], recent_[b]);
    while (a < drawn_.size() && drawn_[a] == value) ++a;
    while (b < recent_.size() && recent_[b] == value) ++b;
    greatest = std::max(greatest, std::abs(static_cast<int>(a) - static_cast<int>(b)));
  }
  return greatest;
}

auto Kswin::update(double value) -> DriftLevel {
  expect_number(name, value);
  if (drifted_) [[unlikely]]
    reset();
  ring_[next_] = value;
  if (++next_ == ring_.size()) next_ = 0;
  if (size_ < ring_.size() && ++size_ < ring_.size()) return DriftLevel::none;

  draw_older();
  recent_.clear();
  for (std::size_t i = ring_.size() - static_cast<std::size_t>(parameters_.recent); i < ring_.size(); ++i)
    recent_.push_back(ring_[(next_ + i) % ring_.size()]);
  const int apart = distance();
  if (apart < critical_) return DriftLevel::none;
  statistic_ = static_cast<double>(apart) / parameters_.recent;
  drifted_ = true;
  return DriftLevel::drift;
}

}  // namespace tensair::drift
