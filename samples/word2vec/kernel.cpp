#include "kernel.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "draws.hpp"
#include "lanes.hpp"

// A window is a matrix of neighbours' rows C and one of outputs' rows O: the word's own, and those of words it is to be
// told from. S = C Oᵀ says how likely each neighbour finds each output; with G = rate × (truth − logistic(S)), C
// changes by G O and O by Gᵀ C. So each number that is loaded is used as often as there are rows on the other side, and
// memory is not what the work waits for. Products are taken of a few rows at a time, whose sums stay in registers.

namespace word2vec {
namespace {

constexpr std::size_t most_neighbours = 64;  // a power of two, at least twice the largest window and one
constexpr std::uint64_t loss_every = 16;     // windows: a logarithm for each output would cost a tenth of the work

auto padded_to_lanes(std::size_t n) -> std::size_t {
  return (n + lanes - 1) / lanes * lanes;
}

// What follows reads and writes rows that other threads write meanwhile, without locks, and on purpose: Recht et al.,
// "Hogwild!", 2011. A lost addition is noise among others. ThreadSanitizer is told not to look at these, and at nothing
// else.
#define WORD2VEC_RACES __attribute__((no_sanitize("thread")))

WORD2VEC_RACES void read_row(float* to, const float* from, std::size_t dim) {
  std::size_t k = 0;
  for (; k + lanes <= dim; k += lanes) store(to + k, load(from + k));
  for (; k < dim; ++k) to[k] = from[k];
}

WORD2VEC_RACES void add_to_row(float* to, const float* now, const float* before, std::size_t dim) {
  std::size_t k = 0;
  for (; k + lanes <= dim; k += lanes) store(to + k, load(to + k) + (load(now + k) - load(before + k)));
  for (; k < dim; ++k) to[k] += now[k] - before[k];
}

WORD2VEC_RACES void add_to_row(float* to, const float* change, std::size_t dim) {
  std::size_t k = 0;
  for (; k + lanes <= dim; k += lanes) store(to + k, load(to + k) + load(change + k));
  for (; k < dim; ++k) to[k] += change[k];
}

void fetch_row(const float* row, std::size_t dim) {
  for (std::size_t k = 0; k < dim; k += 16) __builtin_prefetch(row + k);
}

// Products of `Rows` neighbours with all outputs, into `products`: a register each.
template <int Rows, int Outputs>
void multiply(const float* const* neighbours, const float* outputs, std::size_t padded, Lanes* products) {
  std::array<std::array<Lanes, Outputs>, Rows> sums{};
  for (std::size_t k = 0; k < padded; k += lanes) {
    std::array<Lanes, Rows> c;
    for (int i = 0; i < Rows; ++i) c[static_cast<std::size_t>(i)] = load(neighbours[i] + k);
    for (std::size_t j = 0; j < Outputs; ++j) {
      const Lanes o = load(outputs + j * padded + k);
      for (std::size_t i = 0; i < Rows; ++i) sums[i][j] += c[i] * o;
    }
  }
  for (std::size_t i = 0; i < Rows; ++i) {
    for (std::size_t j = 0; j < Outputs; ++j) *products++ = sums[i][j];
  }
}

}  // namespace

Kernel::Kernel(Shape shape)
    : shape_(shape), padded_(padded_to_lanes(shape.dim)), rows_((2 * most_neighbours + 2 * 32 + 2) * padded_) {}

template <int Outputs>
auto Kernel::learn_as(const Text& text, std::size_t first, std::size_t last, const Tables& tables) -> Learnt {
  constexpr std::size_t outputs = Outputs;
  const std::size_t dim = shape_.dim, padded = padded_;
  const auto window = static_cast<std::size_t>(shape_.window);
  float* const now = rows_.data();                       // of neighbours, in a ring
  float* const before = now + most_neighbours * padded;  // the same as they were when they came
  float* const out = before + most_neighbours * padded;  // of outputs
  float* const out_change = out + 32 * padded;
  float* const mean = out_change + 32 * padded;       // of neighbours, and its change: for CBOW
  const bool frozen = tables.in != tables.change_in;  // all gradients are of the same parameters
  const auto words = text.words;
  const auto slot = [&](float* ring, std::size_t place) { return ring + place % most_neighbours * padded; };

  Learnt learnt;
  std::array<Lanes, most_neighbours * outputs + lanes> products;
  std::array<float, most_neighbours * outputs + lanes> errors;
  std::array<const float*, most_neighbours> values;
  std::array<float*, most_neighbours> changing;
  std::array<std::int32_t, outputs> ids;

  std::size_t entered = first > window ? first - window : 0, left = entered;  // words [left, entered) are in the ring
  const auto leave_until = [&](std::size_t place) {
    for (; left < place; ++left) {
      if (words[left] < 0) continue;
      add_to_row(tables.change_in + static_cast<std::size_t>(words[left]) * dim, slot(now, left), slot(before, left),
                 dim);
    }
  };
  std::uint64_t noise_at = first_noise(text.seed, first, text.noise.size());
  const auto next_noise = [&] {
    const auto id = text.noise[noise_at];
    if (++noise_at == text.noise.size()) noise_at = 0;
    return id;
  };

  for (std::size_t t = first; t < last; ++t) {
    const std::size_t end = std::min(words.size(), t + window + 1);
    for (; entered < end; ++entered) {
      if (words[entered] < 0) continue;
      const float* const row = tables.in + static_cast<std::size_t>(words[entered]) * dim;
      read_row(slot(now, entered), row, dim);
      read_row(slot(before, entered), row, dim);
      if (entered + 1 < words.size() && words[entered + 1] >= 0)
        fetch_row(tables.in + static_cast<std::size_t>(words[entered + 1]) * dim, dim);
    }
    leave_until(t > window ? t - window : 0);
    if (words[t] < 0) continue;

    const std::size_t reach = reach_of(text.seed, t, window);
    std::size_t count = 0;
    const auto take = [&](std::size_t place) {
      changing[count] = slot(now, place);
      values[count++] = frozen ? slot(before, place) : slot(now, place);
    };
    for (std::size_t place = t; place > 0 && t - place < reach && words[place - 1] >= 0; --place) take(place - 1);
    for (std::size_t place = t + 1; place < words.size() && place - t <= reach && words[place] >= 0; ++place)
      take(place);
    if (count == 0) continue;

    ids[0] = words[t];
    for (std::size_t j = 1; j < outputs; ++j) ids[j] = next_noise();
    for (std::size_t j = 0; j < outputs; ++j)
      read_row(out + j * padded, tables.out + static_cast<std::size_t>(ids[j]) * dim, dim);
    if (t + 1 < words.size() && words[t + 1] >= 0)
      fetch_row(tables.out + static_cast<std::size_t>(words[t + 1]) * dim, dim);
    for (std::size_t j = 0, at = noise_at; j + 1 < outputs; ++j) {
      fetch_row(tables.out + static_cast<std::size_t>(text.noise[at]) * dim, dim);
      if (++at == text.noise.size()) at = 0;
    }

    // CBOW: one neighbour, which is the mean of them.
    const std::size_t all_neighbours = count;
    learnt.pairs += count;
    if (shape_.cbow) {
      for (std::size_t k = 0; k < padded; k += lanes) {
        Lanes sum{};
        for (std::size_t i = 0; i < count; ++i) sum += load(values[i] + k);
        sum /= all(static_cast<float>(count));
        store(mean + k, sum);
        store(mean + padded + k, sum);
      }
      values[count] = mean;
      changing[count] = mean + padded;
      count = 1;
    }
    const float* const* const c = values.data() + (shape_.cbow ? all_neighbours : 0);
    float* const* const c_change = changing.data() + (shape_.cbow ? all_neighbours : 0);

    // S
    constexpr int at_once = Outputs <= 7 ? 4 : Outputs <= 12 ? 2 : 1;  // whose sums are not more than the registers
    std::size_t i = 0;
    for (; i + at_once <= count; i += at_once)
      multiply<at_once, Outputs>(c + i, out, padded, products.data() + i * outputs);
    for (; i < count; ++i) multiply<1, Outputs>(c + i, out, padded, products.data() + i * outputs);

    // G
    for (std::size_t n = 0; n < count * outputs; n += lanes) store(errors.data() + n, sums(products.data() + n));
    if (learnt.windows++ % loss_every == 0 || frozen) {
      double loss = 0;
      for (std::size_t n = 0; n < count * outputs; ++n) {
        if (n % outputs != 0 && ids[n % outputs] == ids[0]) continue;
        const auto score = static_cast<double>(n % outputs == 0 ? -errors[n] : errors[n]);
        loss += score > 30 ? score : std::log1p(std::exp(score));
      }
      learnt.loss += loss / static_cast<double>(count) * (frozen ? 1.0 : static_cast<double>(loss_every));
    }
    for (std::size_t n = 0; n < count * outputs; n += lanes)
      store(errors.data() + n, all(-text.lr) * logistic(load(errors.data() + n)));
    for (std::size_t row = 0; row < count; ++row) {
      errors[row * outputs] += text.lr;
      for (std::size_t j = 1; j < outputs; ++j) {
        if (ids[j] == ids[0]) errors[row * outputs + j] = 0;  // drawn, though it is the word itself
      }
    }

    // C and O
    for (std::size_t k = 0; k < padded; k += lanes) {
      std::array<Lanes, outputs> o, change{};
      for (std::size_t j = 0; j < outputs; ++j) o[j] = load(out + j * padded + k);
      for (std::size_t row = 0; row < count; ++row) {
        const float* const error = errors.data() + row * outputs;
        const Lanes value = load(c[row] + k);
        Lanes sum = load(c_change[row] + k);
        for (std::size_t j = 0; j < outputs; ++j) {
          const Lanes e = all(error[j]);
          sum += e * o[j];
          change[j] += e * value;
        }
        store(c_change[row] + k, sum);
      }
      for (std::size_t j = 0; j < outputs; ++j) store(out_change + j * padded + k, change[j]);
    }
    for (std::size_t j = 0; j < outputs; ++j)
      add_to_row(tables.change_out + static_cast<std::size_t>(ids[j]) * dim, out_change + j * padded, dim);

    if (shape_.cbow) {
      const Lanes share = all(1.0F / static_cast<float>(all_neighbours));
      for (std::size_t k = 0; k < padded; k += lanes) {
        const Lanes change = (load(mean + padded + k) - load(mean + k)) * share;
        for (std::size_t n = 0; n < all_neighbours; ++n) store(changing[n] + k, load(changing[n] + k) + change);
      }
    }
  }
  leave_until(entered);
  return learnt;
}

auto Kernel::learn(const Text& text, std::size_t first, std::size_t last, const Tables& tables) -> Learnt {
  using Function = Learnt (Kernel::*)(const Text&, std::size_t, std::size_t, const Tables&);
  constexpr auto functions = []<int... N>(std::integer_sequence<int, N...>) {
    return std::array<Function, sizeof...(N)>{&Kernel::learn_as<N + 2>...};
  }
  (std::make_integer_sequence<int, 20>{});
  return (this->*functions.at(static_cast<std::size_t>(shape_.negative) - 1))(text, first, last, tables);
}

}  // namespace word2vec
