// Bits that agree everywhere.
//
// Every node of a run generates its images and its shuffle itself, so they must be the same on each, whatever its
// compiler and processor. Hence no std::distribution (its algorithm is the library's choice), no sine or cosine (its
// last digit is libm's) and no floating point at all (a compiler may fuse a multiplication and an addition): drawing is
// integer arithmetic on fixed-point numbers.

#include "dataset.hpp"

#include <tensair/error.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace cifar10 {
namespace {

namespace fs = std::filesystem;

constexpr auto classes = 10;
constexpr auto side = 32;
constexpr auto channel_size = side * side;
constexpr auto record_bytes = std::size_t{3073};

// Files are read straight into images.
static_assert(sizeof(Image) == record_bytes && std::is_trivially_copyable_v<Image>);

constexpr auto expected_files =
    "Give the folder that holds CIFAR-10's data_batch_*.bin and test_batch.bin, or none for generated images.";
constexpr auto fetch_again = "Unpack cifar-10-binary.tar.gz again.";

auto batch_files(const fs::path& directory) -> std::vector<fs::path> {
  auto failure = std::error_code{};
  if (!fs::exists(directory, failure)) {
    throw tensair::Error{"the data directory does not exist", directory.string(), expected_files};
  }
  if (!fs::is_directory(directory, failure)) {
    throw tensair::Error{"the data path is not a directory", directory.string(), expected_files};
  }

  auto batches = std::vector<fs::path>{};
  auto entry = fs::directory_iterator{directory, failure};
  for (; !failure && entry != fs::directory_iterator{}; entry.increment(failure)) {
    const auto& path = entry->path();
    if (path.filename().string().starts_with("data_batch_") && path.extension() == ".bin") {
      batches.push_back(path);
    }
  }
  if (failure) {
    throw tensair::Error{"cannot list the data directory: " + failure.message(), directory.string(),
                         "Check its permissions."};
  }
  if (batches.empty()) {
    throw tensair::Error{"no data_batch_*.bin to train on", directory.string(), expected_files};
  }
  std::ranges::sort(batches);
  return batches;
}

void append_file(const fs::path& path, std::vector<Image>& images) {
  auto failure = std::error_code{};
  const auto size = fs::file_size(path, failure);
  if (failure) {
    throw tensair::Error{"cannot read a data file: " + failure.message(), path.string(),
                         "Check the file and its permissions."};
  }
  if (size == 0) {
    throw tensair::Error{"a data file is empty", path.string(), fetch_again};
  }
  if (const auto remainder = size % record_bytes; remainder != 0) {
    throw tensair::Error{"a data file is truncated or in another format: its " + std::to_string(size) +
                             " bytes are no multiple of 3073, the remainder is " + std::to_string(remainder),
                         path.string(), fetch_again};
  }

  const auto first = images.size();
  const auto count = static_cast<std::size_t>(size / record_bytes);
  images.resize(first + count);
  auto file = std::ifstream{path, std::ios::binary};
  if (!file.read(reinterpret_cast<char*>(images.data() + first), static_cast<std::streamsize>(size))) {
    throw tensair::Error{"cannot read a data file", path.string(), "Check the file and its permissions."};
  }

  for (auto record = std::size_t{0}; record < count; ++record) {
    if (const auto label = images[first + record].label; label >= classes) {
      throw tensair::Error{"a label is over 9: " + std::to_string(label),
                           path.string() + ", record " + std::to_string(record + 1) + " of " + std::to_string(count),
                           fetch_again};
    }
  }
}

/// Splitmix64: small, fast and specified to the bit.
class Random {
 public:
  /// Independent streams for different `(seed, stream, index)`.
  Random(std::uint64_t seed, std::uint64_t stream, std::uint64_t index)
      : state_{mix(mix(mix(seed) + stream) + index)} {}

  auto bits() -> std::uint64_t { return mix(state_ += 0x9e3779b97f4a7c15); }

  /// Of 0 … bound - 1; the bias is below bound / 2³².
  auto below(std::uint32_t bound) -> std::uint32_t {
    return static_cast<std::uint32_t>(((bits() >> 32) * bound) >> 32);
  }

  /// Of low … high, both included.
  auto between(int low, int high) -> int {
    return low + static_cast<int>(below(static_cast<std::uint32_t>(high - low + 1)));
  }

 private:
  static auto mix(std::uint64_t z) -> std::uint64_t {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
};

enum Stream : std::uint64_t { train_images, test_images, shuffles };

// A figure fills part of the disc of radius `one` around its own centre; (u, v) is a point in its own, rotated axes. No
// pixel is further than 3 × `one` from the centre, so squares fit an int.
constexpr auto one = 4096;

auto square_distance(int u, int v) {
  return u * u + v * v;
}

// Whole periods that make a coordinate positive before it is divided.
constexpr auto shift = 16;

/// Falls from `period / 2` to 0 and rises again, once a period.
auto zigzag(int u, int period) {
  return std::abs((u + shift * period) % period - period / 2);
}

auto is_odd_cell(int u, int cell) {
  return (u + shift * cell) / cell % 2 != 0;
}

template <int Class>
auto is_inside(int u, int v) -> bool {
  constexpr auto period = one * 3 / 4;
  const auto in_disc = square_distance(u, v) < one * one;
  if constexpr (Class == 0) {  // disc
    return in_disc;
  } else if constexpr (Class == 1) {  // ring
    return in_disc && square_distance(u, v) > one * one / 3;
  } else if constexpr (Class == 2) {  // square
    return std::max(std::abs(u), std::abs(v)) < one * 7 / 8;
  } else if constexpr (Class == 3) {  // triangle
    return v > -one / 2 && std::abs(u) * 7 / 4 + v < one;
  } else if constexpr (Class == 4) {  // cross
    return std::min(std::abs(u), std::abs(v)) < one / 4 && std::max(std::abs(u), std::abs(v)) < one;
  } else if constexpr (Class == 5) {  // crescent
    return in_disc && square_distance(u - one / 2, v) > one * one * 5 / 8;
  } else if constexpr (Class == 6) {  // stripes
    return in_disc && zigzag(u, period) < period / 4;
  } else if constexpr (Class == 7) {  // checks
    return in_disc && is_odd_cell(u, period / 2) != is_odd_cell(v, period / 2);
  } else if constexpr (Class == 8) {  // dots
    return in_disc && square_distance(zigzag(u, period), zigzag(v, period)) < period * period / 10;
  } else {  // waves
    return in_disc && zigzag(u + zigzag(v, one), period) < period / 4;
  }
}

/// An affine function of the pixel's column and row.
struct Plane {
  int origin, per_column, per_row;

  auto operator()(int column, int row) const { return origin + per_column * column + per_row * row; }
};

struct Axes {
  Plane u, v;
};

auto draw_axes(Random& random) -> Axes {
  constexpr auto eighth = 8;  // of a pixel
  constexpr auto middle = side * eighth / 2;
  const auto radius = random.between(9 * eighth, 13 * eighth);
  const auto centre_column = middle + random.between(-3 * eighth, 3 * eighth);
  const auto centre_row = middle + random.between(-3 * eighth, 3 * eighth);

  // A rational point of the unit circle, in place of a sine and a cosine; with the sign, of the whole circle.
  const auto slope = std::int64_t{random.between(-1024, 1024)};
  const auto sign = random.between(0, 1) * 2 - 1;
  const auto length = 1024 * 1024 + slope * slope;
  const auto scale = one * eighth / radius * sign;
  const auto cosine = static_cast<int>((1024 * 1024 - slope * slope) * scale / length);
  const auto sine = static_cast<int>(2 * 1024 * slope * scale / length);

  const auto plane = [&](int per_column, int per_row) {
    return Plane{-(per_column * centre_column + per_row * centre_row) / eighth, per_column, per_row};
  };
  return {plane(cosine, sine), plane(-sine, cosine)};
}

/// Colours of one channel, in 1/256 of a grey level.
struct Paint {
  Plane background;
  int figure;  // added to the background
};

auto draw_paint(Random& random, int sign) -> Paint {
  constexpr auto level = 256;
  constexpr auto tilt = 2 * level;  // a pixel: at most 64 levels across the image
  const auto per_column = random.between(-tilt, tilt);
  const auto per_row = random.between(-tilt, tilt);
  const auto middle = random.between(90, 165) * level;
  return {{middle - (per_column + per_row) * side / 2, per_column, per_row}, sign * random.between(40, 100) * level};
}

template <int Class>
void draw(Random& random, Image& image) {
  const auto axes = draw_axes(random);
  // Lighter than the background more often than darker: the little that a linear model can learn from.
  const auto sign = random.between(0, 7) == 0 ? -1 : 1;
  const auto paints = std::array{draw_paint(random, sign), draw_paint(random, sign), draw_paint(random, sign)};
  const auto noise = random.between(20, 70);  // largest deviation, in grey levels; triangular, so mostly far less

  for (auto row = 0; row < side; ++row) {
    for (auto column = 0; column < side; ++column) {
      const auto inside = is_inside<Class>(axes.u(column, row), axes.v(column, row));
      auto dice = random.bits();
      for (auto channel = std::size_t{0}; channel < paints.size(); ++channel, dice >>= 16) {
        const auto& [background, figure] = paints[channel];
        const auto triangular = static_cast<int>(dice & 255) + static_cast<int>((dice >> 8) & 255) - 255;
        const auto level = (background(column, row) + (inside ? figure : 0) + triangular * noise) / 256;
        image.pixels[channel * channel_size + static_cast<std::size_t>(row * side + column)] =
            static_cast<std::uint8_t>(std::clamp(level, 0, 255));
      }
    }
  }
}

template <int... Class>
constexpr auto draw_functions(std::integer_sequence<int, Class...>) {
  return std::array{&draw<Class>...};
}

auto draw_images(std::uint64_t seed, Stream stream, std::size_t count) -> std::vector<Image> {
  constexpr auto draw_class = draw_functions(std::make_integer_sequence<int, classes>{});
  auto images = std::vector<Image>(count);
  for (auto i = std::size_t{0}; i < count; ++i) {
    images[i].label = static_cast<std::uint8_t>(i % classes);
    auto random = Random{seed, stream, i};
    draw_class[images[i].label](random, images[i]);
  }
  return images;
}

}  // namespace

auto read(const fs::path& directory) -> Dataset {
  auto dataset = Dataset{};
  const auto files = batch_files(directory);
  // Growing file by file would copy what there is each time, and leave the copies' memory in the process.
  auto bytes = std::uintmax_t{0};
  for (const auto& path : files) {
    auto unreadable = std::error_code{};  // append_file says so
    const auto size = fs::file_size(path, unreadable);
    if (!unreadable) bytes += size;
  }
  dataset.train.reserve(bytes / sizeof(Image));
  for (const auto& path : files) {
    append_file(path, dataset.train);
  }
  const auto test = directory / "test_batch.bin";
  auto failure = std::error_code{};
  if (!fs::exists(test, failure)) {
    throw tensair::Error{"no test_batch.bin to test on", directory.string(), expected_files};
  }
  append_file(test, dataset.test);
  return dataset;
}

auto generate(std::uint64_t seed, std::size_t train, std::size_t test) -> Dataset {
  return {draw_images(seed, train_images, train), draw_images(seed, test_images, test)};
}

auto order(std::size_t n, std::uint64_t seed, std::size_t epoch) -> std::vector<std::uint32_t> {
  auto indices = std::vector<std::uint32_t>(n);
  std::iota(indices.begin(), indices.end(), 0U);
  auto random = Random{seed, shuffles, epoch};
  for (auto left = static_cast<std::uint32_t>(n); left > 1; --left) {  // Fisher–Yates
    std::swap(indices[left - 1], indices[random.below(left)]);
  }
  return indices;
}

}  // namespace cifar10
