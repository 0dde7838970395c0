// Where a convolution's time goes, and where it need not.
//
// After ReLU and 2×2 max-pooling at most one pixel in four has a gradient, in each channel another one. LibTorch
// multiplies the zeros as well. Here the forward pass notes which pixel of a window won, or that ReLU left none (one
// byte), and the backward pass sums over the others' lists only: of a weight's gradient for each channel the pixels
// that won in it, of the input's gradient for each pixel the channels it won in. Both are the same loop, `accumulate`:
// a row of sums stays in registers while rows of floats, each times a number, are added to it. Before pooling, bias and
// ReLU would pass over four times as many values; after it they are one more instruction.
//
// The forward pass computes tiles of 2×2 pixels, so that a pooling window is one tile and never leaves the registers.
// With many channels it uses Winograd's F(2×2, 3×3) (Lavin and Gray, 2015): 16 multiplications a tile and channel
// instead of 36.
//
// All images, gradients and outputs are in channels_last order (a pixel's channels adjacent), channels a multiple of 8
// but for inputs.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace cifar10::detail {

/// Eight floats in one vector register where the processor has such, in two where not.
using Vector [[gnu::vector_size(32)]] = float;
using IntVector [[gnu::vector_size(32)]] = std::int32_t;
using ByteVector [[gnu::vector_size(8)]] = std::uint8_t;
constexpr auto lanes = 8;

// Whatever takes or returns a Vector must be inlined into the function that is compiled for the processor at hand; so
// it is never called, and g++ need not warn that the call would differ between processors.
#pragma GCC diagnostic ignored "-Wpsabi"
#define CIFAR10_INLINE [[gnu::always_inline]] inline

CIFAR10_INLINE auto load(const float* from) -> Vector {
  Vector vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}

CIFAR10_INLINE void store(float* to, const Vector& vector) {
  std::memcpy(to, &vector, sizeof vector);
}

/// The sizes of one convolution. Strides are in floats.
struct Geometry {
  std::int64_t images;
  std::int64_t tile_rows, tile_columns;   // of 2×2 outputs each
  std::int64_t image_stride, row_stride;  // of the input
};

/// How a kernel's outputs become the operation's: by tiles of 2×2, of which max-pooling (Window 2) keeps one pixel,
/// else (1) all.
template <int Channels, int Outputs, int Window>
struct Convolution {
  static constexpr auto positions = Window * Window;
  static constexpr auto none = positions;   // the winner where ReLU left no pixel: no gradient
  static constexpr auto panel = 2 * lanes;  // outputs computed at once
  static constexpr auto panels = Outputs / panel;
  static constexpr auto row_length = 3 * Channels;  // a kernel's row, and as many floats of an image
  static_assert(Outputs % panel == 0);

  static auto windows(const Geometry& g) { return g.tile_rows * g.tile_columns * (4 / positions); }

  // Forward

  /// Eight channels of a tile's four pixels, after the convolution: adds the bias, applies ReLU and pooling, and notes
  /// the winners.
  CIFAR10_INLINE static void finish(const std::array<Vector, 4>& tile, const float* bias, const Geometry& g,
                                    std::int64_t tile_row, std::int64_t tile_column, std::int64_t channel,
                                    float* output, std::uint8_t* winner) {
    if constexpr (Window == 2) {
      auto best = tile[0];
      auto place = IntVector{};
      for (auto i = 1; i < 4; ++i) {
        const auto better = (tile[i] > best) | (tile[i] != tile[i]);  // NaN wins, as in LibTorch
        best = better ? tile[i] : best;
        place = better ? IntVector{} + i : place;
      }
      finish_pixel(best, place, bias, (tile_row * g.tile_columns + tile_column) * Outputs + channel, output, winner);
    } else {
      for (auto i = 0; i < 4; ++i) {
        const auto pixel = (2 * tile_row + i / 2) * 2 * g.tile_columns + 2 * tile_column + i % 2;
        finish_pixel(tile[i], IntVector{}, bias, pixel * Outputs + channel, output, winner);
      }
    }
  }

  CIFAR10_INLINE static void finish_pixel(const Vector& before_bias, const IntVector& place, const float* bias,
                                          std::int64_t at, float* output, std::uint8_t* winner) {
    const auto sum = before_bias + load(bias);
    const auto off = sum <= 0.0F;
    store(output + at, off ? Vector{} : sum);
    const auto bytes = __builtin_convertvector(off ? IntVector{} + none : place, ByteVector);
    std::memcpy(winner + at, &bytes, sizeof bytes);
  }

  /// @param weights  [panels][3][3][Channels][panel]
  CIFAR10_INLINE static void forward_direct(const Geometry& g, const float* input, const float* weights,
                                            const float* bias, float* output, std::uint8_t* winner) {
    for (auto image = std::int64_t{0}; image < g.images; ++image) {
      for (auto channel = 0; channel < Outputs; channel += panel) {
        for (auto tile_row = std::int64_t{0}; tile_row < g.tile_rows; ++tile_row) {
          for (auto tile_column = std::int64_t{0}; tile_column < g.tile_columns; ++tile_column) {
            const auto* upper = input + 2 * tile_row * g.row_stride + 2 * tile_column * Channels;
            const auto* weight = weights + channel * 3 * row_length;
            auto left = std::array<Vector, 4>{}, right = std::array<Vector, 4>{};
            for (auto row = 0; row < 3; ++row, upper += g.row_stride) {
              const auto* lower = upper + g.row_stride;
#pragma GCC unroll 3
              for (auto i = 0; i < row_length; ++i, weight += panel) {
                const auto weight_left = load(weight), weight_right = load(weight + lanes);
                const auto pixels = std::array{upper[i], upper[i + Channels], lower[i], lower[i + Channels]};
#pragma GCC unroll 4
                for (auto j = 0; j < 4; ++j) {
                  left[j] += pixels[j] * weight_left;
                  right[j] += pixels[j] * weight_right;
                }
              }
            }
            finish(left, bias + channel, g, tile_row, tile_column, channel, output, winner);
            finish(right, bias + channel + lanes, g, tile_row, tile_column, channel + lanes, output, winner);
          }
        }
      }
      input += g.image_stride;
      output += windows(g) * Outputs;
      winner += windows(g) * Outputs;
    }
  }

  /// @param weights      [panels][3][3][Channels][panel]
  /// @param transformed  [16][panels][Channels][panel]
  CIFAR10_INLINE static void transform_weights(const float* weights, float* transformed) {
    // Rows of Winograd's G: (1, 0, 0), (½, ½, ½), (½, -½, ½), (0, 0, 1).
    const auto expand = [](const Vector& a, const Vector& b, const Vector& c) __attribute__((always_inline)) {
      return std::array{a, 0.5F * (a + b + c), 0.5F * (a - b + c), c};
    };
    for (auto p = 0; p < panels; ++p) {
      for (auto i = 0; i < Channels * panel; i += lanes) {
        const auto* weight = weights + p * 9 * Channels * panel + i;
        const auto tap = [&](int row, int column) __attribute__((always_inline)) {
          return load(weight + (3 * row + column) * Channels * panel);
        };
        std::array<std::array<Vector, 4>, 3> columns;
        for (auto c = 0; c < 3; ++c) {
          columns[c] = expand(tap(0, c), tap(1, c), tap(2, c));
        }
        for (auto r = 0; r < 4; ++r) {
          const auto row = expand(columns[0][r], columns[1][r], columns[2][r]);
          for (auto c = 0; c < 4; ++c) {
            store(transformed + ((4 * r + c) * panels + p) * Channels * panel + i, row[c]);
          }
        }
      }
    }
  }

  /// @param transformed  the weights, from `transform_weights`
  CIFAR10_INLINE static void forward_winograd(const Geometry& g, const float* input, const float* transformed,
                                              const float* bias, float* output, std::uint8_t* winner) {
    constexpr auto at_once = 6;  // tiles whose sums fill 12 of 16 registers
    constexpr auto group = 12;   // tiles whose transforms share the first-level cache with a panel of weights
    const auto per_image = g.tile_rows * g.tile_columns;
    const auto tiles = g.images * per_image;
    auto patches = std::vector<float>(16 * group * Channels);  // [16][group][Channels]
    auto products = std::vector<float>(16 * group * panel);    // [16][group][panel]

    for (auto first = std::int64_t{0}; first < tiles; first += group) {
      const auto count = std::min<std::int64_t>(group, tiles - first);
      for (auto t = std::int64_t{0}; t < count; ++t) {
        const auto image = (first + t) / per_image, tile = (first + t) % per_image;
        const auto row = tile / g.tile_columns, column = tile % g.tile_columns;
        transform_patch(input + image * g.image_stride + 2 * row * g.row_stride + 2 * column * Channels, g.row_stride,
                        patches.data() + t * Channels, group * Channels);
      }
      for (auto p = 0; p < panels; ++p) {
        for (auto place = 0; place < 16; ++place) {
          const auto* weight = transformed + (place * panels + p) * Channels * panel;
          for (auto t = std::int64_t{0}; t < count; t += at_once) {
            const auto* patch = patches.data() + (place * group + t) * Channels;
            auto left = std::array<Vector, at_once>{}, right = std::array<Vector, at_once>{};
            for (auto c = 0; c < Channels; ++c) {
              const auto weight_left = load(weight + c * panel), weight_right = load(weight + c * panel + lanes);
#pragma GCC unroll 6
              for (auto i = 0; i < at_once; ++i) {
                left[i] += patch[i * Channels + c] * weight_left;
                right[i] += patch[i * Channels + c] * weight_right;
              }
            }
            auto* product = products.data() + (place * group + t) * panel;
            for (auto i = 0; i < at_once; ++i) {
              store(product + i * panel, left[i]);
              store(product + i * panel + lanes, right[i]);
            }
          }
        }
        for (auto t = std::int64_t{0}; t < count; ++t) {
          const auto image = (first + t) / per_image, tile = (first + t) % per_image;
          for (auto channel = p * panel; channel < (p + 1) * panel; channel += lanes) {
            finish(transform_product(products.data() + t * panel + channel % panel, group * panel), bias + channel, g,
                   tile / g.tile_columns, tile % g.tile_columns, channel, output + image * windows(g) * Outputs,
                   winner + image * windows(g) * Outputs);
          }
        }
      }
    }
  }

  CIFAR10_INLINE static void transform_patch(const float* input, std::int64_t row_stride, float* patch,
                                             std::int64_t stride) {
    // Rows of Winograd's Bᵀ: (1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1).
    const auto expand =
        [](const Vector& a, const Vector& b, const Vector& c, const Vector& d) __attribute__((always_inline)) {
      return std::array{a - c, b + c, c - b, b - d};
    };
    for (auto channel = 0; channel < Channels; channel += lanes) {
      const auto pixel = [&](int row, int column) __attribute__((always_inline)) {
        return load(input + row * row_stride + column * Channels + channel);
      };
      std::array<std::array<Vector, 4>, 4> columns;
      for (auto c = 0; c < 4; ++c) {
        columns[c] = expand(pixel(0, c), pixel(1, c), pixel(2, c), pixel(3, c));
      }
      for (auto r = 0; r < 4; ++r) {
        const auto row = expand(columns[0][r], columns[1][r], columns[2][r], columns[3][r]);
        for (auto c = 0; c < 4; ++c) {
          store(patch + (4 * r + c) * stride + channel, row[c]);
        }
      }
    }
  }

  CIFAR10_INLINE static auto transform_product(const float* product, std::int64_t stride) -> std::array<Vector, 4> {
    // Rows of Winograd's Aᵀ: (1, 1, 1, 0), (0, 1, -1, -1).
    const auto upper = [](const Vector& a, const Vector& b, const Vector& c) __attribute__((always_inline)) {
      return a + b + c;
    };
    const auto lower = [](const Vector& b, const Vector& c, const Vector& d) __attribute__((always_inline)) {
      return b - c - d;
    };
    const auto at = [&](int row, int column) __attribute__((always_inline)) {
      return load(product + (4 * row + column) * stride);
    };
    std::array<Vector, 4> first, second;
    for (auto c = 0; c < 4; ++c) {
      first[c] = upper(at(0, c), at(1, c), at(2, c));
      second[c] = lower(at(1, c), at(2, c), at(3, c));
    }
    return {upper(first[0], first[1], first[2]), lower(first[1], first[2], first[3]),
            upper(second[0], second[1], second[2]), lower(second[1], second[2], second[3])};
  }

  // Backward

  /// One term of a sum of rows: a number, and where the row begins that it multiplies.
  struct Term {
    std::int32_t offset;
    float factor;
  };

  /// How much of a kernel's rows `accumulate` holds in registers: three short rows, or up to twelve vectors of a long
  /// one.
  static constexpr auto rows_at_once = row_length <= 4 * lanes ? 3 : 1;
  static constexpr auto piece = std::min(row_length, 12 * lanes);
  static_assert(piece >= lanes && row_length % piece == 0);

  /// Adds to `piece` floats of each of `rows_at_once` rows of sums the rows that the terms name, times their factors.
  CIFAR10_INLINE static void accumulate(float* sums, std::int64_t sums_stride, const float* rows,
                                        std::int64_t rows_stride, const Term* term, std::int64_t count) {
    constexpr auto vectors = (piece + lanes - 1) / lanes;
    // The last vector of a piece that is not a multiple of eight overlaps the one before: both hold the same sums
    // there.
    const auto start = [](int v) { return std::min(v * lanes, piece - lanes); };
    Vector sum[rows_at_once][vectors];
#pragma GCC unroll 3
    for (auto r = 0; r < rows_at_once; ++r) {
#pragma GCC unroll 12
      for (auto v = 0; v < vectors; ++v) {
        sum[r][v] = load(sums + r * sums_stride + start(v));
      }
    }
    for (const auto* end = term + count; term != end; ++term) {
      const auto* row = rows + term->offset;
      const auto factor = term->factor;
#pragma GCC unroll 3
      for (auto r = 0; r < rows_at_once; ++r) {
#pragma GCC unroll 12
        for (auto v = 0; v < vectors; ++v) {
          sum[r][v] += factor * load(row + r * rows_stride + start(v));
        }
      }
    }
#pragma GCC unroll 3
    for (auto r = 0; r < rows_at_once; ++r) {
#pragma GCC unroll 12
      for (auto v = 0; v < vectors; ++v) {
        store(sums + r * sums_stride + start(v), sum[r][v]);
      }
    }
  }

  /// Where each pixel of a window begins in an image, from the window's own beginning.
  CIFAR10_INLINE static auto position_offsets(std::int64_t row_stride) {
    auto offsets = std::array<std::int32_t, positions + 1>{};
    for (auto i = 0; i < positions; ++i) {
      offsets[i] = static_cast<std::int32_t>(i / Window * row_stride + i % Window * Channels);
    }
    return offsets;
  }

  /// Calls `visit(index, offset)` for each window of an image whose rows are `row_stride` floats apart.
  template <class Visit>
  CIFAR10_INLINE static void for_each_window(const Geometry& g, std::int64_t row_stride, Visit visit) {
    const auto per_tile = 2 / Window;
    const auto rows = g.tile_rows * per_tile, columns = g.tile_columns * per_tile;
    for (auto row = std::int64_t{0}; row < rows; ++row) {
      for (auto column = std::int64_t{0}; column < columns; ++column) {
        visit(row * columns + column, Window * (row * row_stride + column * Channels));
      }
    }
  }

  /// Adds the gradients of weights and bias.
  ///
  /// @param weights  [Outputs][3][3][Channels]
  CIFAR10_INLINE static void backward_weights(const Geometry& g, const float* input, const float* gradient,
                                              const std::uint8_t* winner, float* weights, float* bias) {
    // A list long enough to be worth loading its sums for: of as many small images as make 64 windows.
    const auto at_once = std::max<std::int64_t>(1, 64 / windows(g));
    const auto capacity = at_once * windows(g);
    auto terms = std::vector<Term>(static_cast<std::size_t>(Outputs * capacity + 1));
    const auto offsets = position_offsets(g.row_stride);

    for (auto first = std::int64_t{0}; first < g.images; first += at_once) {
      const auto images = std::min(at_once, g.images - first);
      auto counts = std::array<std::int32_t, Outputs>{};
      for (auto image = std::int64_t{0}; image < images; ++image) {
        for_each_window(
            g, g.row_stride, [&](std::int64_t, std::int64_t window) __attribute__((always_inline)) {
              const auto begin = static_cast<std::int32_t>(image * g.image_stride + window);
              for (auto o = 0; o < Outputs; ++o) {
                terms[static_cast<std::size_t>(o * capacity + counts[o])] = {begin + offsets[winner[o]], gradient[o]};
                counts[o] += winner[o] != none;
              }
              for (auto o = 0; o < Outputs; ++o) {
                bias[o] += winner[o] != none ? gradient[o] : 0.0F;
              }
              gradient += Outputs;
              winner += Outputs;
            });
      }
      for (auto o = 0; o < Outputs; ++o) {
        for (auto row = 0; row < 3; row += rows_at_once) {
          for (auto i = 0; i < row_length; i += piece) {
            accumulate(weights + (3 * o + row) * row_length + i, row_length, input + row * g.row_stride + i,
                       g.row_stride, terms.data() + o * capacity, counts[o]);
          }
        }
      }
      input += at_once * g.image_stride;
    }
  }

  /// Adds the gradient of the input.
  ///
  /// @param weights         [3][Outputs][3][Channels]
  /// @param input_gradient  dense: rows of 2 × tile_columns + 2 pixels, images of 2 × tile_rows + 2 rows
  CIFAR10_INLINE static void backward_input(const Geometry& g, const float* weights, const float* gradient,
                                            const std::uint8_t* winner, float* input_gradient) {
    const auto row_stride = (2 * g.tile_columns + 2) * Channels;
    const auto offsets = position_offsets(row_stride);
    constexpr auto lists = positions + 1;  // a window
    auto terms = std::vector<Term>(static_cast<std::size_t>(windows(g) * lists * Outputs));
    auto counts = std::vector<std::int32_t>(static_cast<std::size_t>(windows(g) * lists));

    for (auto image = std::int64_t{0}; image < g.images; ++image) {
      std::ranges::fill(counts, 0);
      for (auto window = std::int64_t{0}; window < windows(g); ++window) {
        for (auto o = 0; o < Outputs; ++o) {
          const auto list = static_cast<std::size_t>(window * lists + winner[window * Outputs + o]);
          terms[list * Outputs + static_cast<std::size_t>(counts[list]++)] = {o * row_length,
                                                                              gradient[window * Outputs + o]};
        }
      }
      for (auto row = 0; row < 3; row += rows_at_once) {
        for (auto i = 0; i < row_length; i += piece) {
          for_each_window(
              g, row_stride, [&](std::int64_t window, std::int64_t begin) __attribute__((always_inline)) {
                for (auto position = 0; position < positions; ++position) {
                  const auto list = static_cast<std::size_t>(window * lists + position);
                  accumulate(input_gradient + begin + offsets[position] + row * row_stride + i, row_stride,
                             weights + row * Outputs * row_length + i, Outputs * row_length,
                             terms.data() + list * Outputs, counts[list]);
                }
              });
        }
      }
      input_gradient += (2 * g.tile_rows + 2) * row_stride;
      gradient += windows(g) * Outputs;
      winner += windows(g) * Outputs;
    }
  }
};

}  // namespace cifar10::detail
