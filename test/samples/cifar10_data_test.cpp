#include "cifar10/dataset.hpp"

#include "catch.hpp"
#include "support/sanitized.hpp"

#include <tensair/error.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <unistd.h>

namespace {

namespace fs = std::filesystem;

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using cifar10::Image;

constexpr auto record_bytes = 3073;

/// A directory that goes away with its files at the end of the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    auto name = (fs::temp_directory_path() / "tensair-cifar10-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() {
    auto ignored = std::error_code{};
    fs::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  auto operator=(const TemporaryDirectory&) -> TemporaryDirectory& = delete;

  auto path() const -> const fs::path& { return path_; }
  auto write(const std::string& file, std::string_view bytes) const {
    std::ofstream{path_ / file, std::ios::binary} << bytes;
  }

 private:
  fs::path path_;
};

/// A record in the official layout: the label, then pixels that count up from it, so that no two places look alike.
auto record(int label) {
  auto bytes = std::string(record_bytes, '\0');
  bytes[0] = static_cast<char>(label);
  for (auto i = std::size_t{1}; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>((static_cast<std::size_t>(label) + i) % 251);
  }
  return bytes;
}

auto error_of_reading(const fs::path& directory) {
  try {
    cifar10::read(directory);
  } catch (const tensair::Error& error) {
    return std::string{error.what()};
  }
  FAIL("read " << directory << " without an error");
  return std::string{};
}

auto is_one_line(const std::string& text) {
  return text.find('\n') == std::string::npos;
}

auto bytes_of(const Image& image) {
  auto bytes = std::string(1, static_cast<char>(image.label));
  std::ranges::transform(image.pixels, std::back_inserter(bytes), [](auto pixel) { return static_cast<char>(pixel); });
  return bytes;
}

auto is_equal(const std::vector<Image>& left, const std::vector<Image>& right) {
  return std::ranges::equal(left, right, {}, bytes_of, bytes_of);
}

auto count_per_class(const std::vector<Image>& images) {
  auto counts = std::array<int, 10>{};
  for (const auto& image : images) {
    ++counts.at(image.label);
  }
  return counts;
}

}  // namespace

TEST_CASE("CIFAR-10 files are read in order of name, test_batch.bin apart", "[samples][cifar10]") {
  const auto directory = TemporaryDirectory{};
  directory.write("data_batch_2.bin", record(7));
  directory.write("data_batch_1.bin", record(9) + record(0));
  directory.write("test_batch.bin", record(3));
  directory.write("batches.meta.txt", "airplane\n");
  directory.write("data_batch_3.bin.part", "not a batch");

  const auto dataset = cifar10::read(directory.path());

  REQUIRE(dataset.train.size() == 3);
  CHECK(bytes_of(dataset.train[0]) == record(9));
  CHECK(bytes_of(dataset.train[1]) == record(0));
  CHECK(bytes_of(dataset.train[2]) == record(7));
  REQUIRE(dataset.test.size() == 1);
  CHECK(bytes_of(dataset.test[0]) == record(3));
}

TEST_CASE("a CIFAR-10 directory that cannot be used is an error that names it and what it should hold",
          "[samples][cifar10]") {
  const auto directory = TemporaryDirectory{};
  auto used = directory.path();
  auto failure = std::string{};

  SECTION("it does not exist") {
    used /= "missing";
    failure = "the data directory does not exist";
  }
  SECTION("it is a file") {
    directory.write("file", "");
    used /= "file";
    failure = "the data path is not a directory";
  }
  SECTION("it is empty") {
    failure = "no data_batch_*.bin to train on";
  }
  SECTION("it holds test images only") {
    directory.write("test_batch.bin", record(0));
    failure = "no data_batch_*.bin to train on";
  }
  SECTION("it holds training images only") {
    directory.write("data_batch_1.bin", record(0));
    failure = "no test_batch.bin to test on";
  }

  const auto error = error_of_reading(used);
  CHECK_THAT(error, StartsWith(failure) && ContainsSubstring(used.string()) &&
                        ContainsSubstring("Give the folder that holds CIFAR-10's data_batch_*.bin and test_batch.bin"));
  CHECK(is_one_line(error));
}

TEST_CASE("a CIFAR-10 file that cannot be used is an error that names it and what to do", "[samples][cifar10]") {
  const auto directory = TemporaryDirectory{};
  directory.write("data_batch_1.bin", record(1) + record(2));
  directory.write("test_batch.bin", record(3));

  auto file = std::string{GENERATE("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin")};
  auto failure = std::string{};
  auto remedy = std::string{"Unpack cifar-10-binary.tar.gz again"};

  SECTION("it is truncated") {
    directory.write(file, (record(4) + record(5)).substr(0, 6000));
    failure = "its 6000 bytes are no multiple of 3073, the remainder is 2927";
  }
  SECTION("it is longer than its records") {
    directory.write(file, record(4) + "!");
    failure = "its 3074 bytes are no multiple of 3073, the remainder is 1";
  }
  SECTION("it is shorter than a record") {
    directory.write(file, "<html>404</html>");
    failure = "its 16 bytes are no multiple of 3073, the remainder is 16";
  }
  SECTION("it is empty") {
    directory.write(file, "");
    failure = "a data file is empty";
  }
  SECTION("a label is over 9") {
    directory.write(file, record(9) + record(10) + record(0));
    failure = "a label is over 9: 10";
    file += ", record 2 of 3";
  }
  SECTION("a label is the largest of a byte") {
    directory.write(file, record(255));
    failure = "a label is over 9: 255";
    file += ", record 1 of 1";
  }
  SECTION("it is unreadable") {
    fs::remove(directory.path() / file);
    fs::create_directory(directory.path() / file);  // root reads any file, but nobody reads a directory
    failure = "cannot read a data file";
    remedy = "Check the file and its permissions";
  }

  const auto error = error_of_reading(directory.path());
  CHECK_THAT(error, ContainsSubstring(failure) && ContainsSubstring((directory.path() / file).string()) &&
                        ContainsSubstring(remedy));
  CHECK(is_one_line(error));
}

TEST_CASE("the real CIFAR-10 files hold the classes that they should", "[samples][cifar10][data]") {
  const auto* data = std::getenv("TENSAIR_DATA");
  if (data == nullptr || !fs::exists(fs::path{data} / "cifar10")) {
    WARN("skipped: TENSAIR_DATA does not lead to cifar10");
    return;
  }

  const auto dataset = cifar10::read(fs::path{data} / "cifar10");

  // Counted by a Python script over batches 1 to 3 and the first 1,000 test images.
  CHECK(dataset.train.size() == 30'000);
  CHECK(count_per_class(dataset.train) == std::array{2983, 3023, 3007, 3008, 2999, 2954, 3016, 3042, 2973, 2995});
  CHECK(dataset.test.size() == 1'000);
  CHECK(count_per_class(dataset.test) == std::array{103, 89, 100, 103, 90, 86, 112, 102, 106, 109});
}

TEST_CASE("generated images depend on the seed alone", "[samples][cifar10]") {
  const auto dataset = cifar10::generate(1, 100, 50);

  SECTION("the same seed gives the same images") {
    const auto again = cifar10::generate(1, 100, 50);
    CHECK(is_equal(dataset.train, again.train));
    CHECK(is_equal(dataset.test, again.test));
  }
  SECTION("a longer data set begins with the shorter one") {
    auto longer = cifar10::generate(1, 130, 70);
    longer.train.resize(100);
    longer.test.resize(50);
    CHECK(is_equal(dataset.train, longer.train));
    CHECK(is_equal(dataset.test, longer.test));
  }
  SECTION("every image is another one, within a data set and across seeds") {
    const auto other = cifar10::generate(2, 100, 50);
    auto images = std::vector<std::string>{};
    for (const auto* part : {&dataset.train, &dataset.test, &other.train, &other.test}) {
      std::ranges::transform(*part, std::back_inserter(images), bytes_of);
    }
    std::ranges::sort(images);
    CHECK(std::ranges::adjacent_find(images) == images.end());
  }
}

TEST_CASE("generated images are of ten classes, equally many of each", "[samples][cifar10]") {
  const auto dataset = cifar10::generate(3, 1'000, 200);

  auto hundred = std::array<int, 10>{};
  hundred.fill(100);
  CHECK(count_per_class(dataset.train) == hundred);
  auto twenty = std::array<int, 10>{};
  twenty.fill(20);
  CHECK(count_per_class(dataset.test) == twenty);
}

namespace {

constexpr auto features = std::size_t{3072};

/// Multinomial logistic regression on the pixels, trained by stochastic gradient descent.
class LinearClassifier {
 public:
  void train(const Image& image, float step) {
    const auto pixels = normalise(image);
    auto error = scores(pixels);
    const auto highest = *std::ranges::max_element(error);
    auto sum = 0.0F;
    for (auto& value : error) {
      sum += value = std::exp(value - highest);
    }
    for (auto& value : error) {
      value /= sum;
    }
    error.at(image.label) -= 1;

    for (auto i = std::size_t{0}; i < features; ++i) {
      auto& weights = weights_[i];
      for (auto k = std::size_t{0}; k < 10; ++k) {
        weights[k] -= step * error[k] * pixels[i];
      }
    }
    for (auto k = std::size_t{0}; k < 10; ++k) {
      bias_[k] -= step * error[k];
    }
  }

  auto accuracy(const std::vector<Image>& images) const -> double {
    const auto hits = std::ranges::count_if(images, [&](const Image& image) {
      const auto values = scores(normalise(image));
      return std::ranges::max_element(values) - values.begin() == image.label;
    });
    return static_cast<double>(hits) / static_cast<double>(images.size());
  }

 private:
  using Scores = std::array<float, 10>;
  using Pixels = std::array<float, features>;

  static auto normalise(const Image& image) -> Pixels {
    auto pixels = Pixels{};
    std::ranges::transform(image.pixels, pixels.begin(),
                           [](auto pixel) { return static_cast<float>(pixel) / 128 - 1; });
    return pixels;
  }

  auto scores(const Pixels& pixels) const -> Scores {
    auto values = bias_;
    for (auto i = std::size_t{0}; i < features; ++i) {
      const auto& weights = weights_[i];
      for (auto k = std::size_t{0}; k < 10; ++k) {
        values[k] += weights[k] * pixels[i];
      }
    }
    return values;
  }

  std::vector<Scores> weights_ = std::vector<Scores>(features);
  Scores bias_{};
};

}  // namespace

TEST_CASE("a linear classifier learns something of the generated images, but stays under 50 %", "[samples][cifar10]") {
  // As many images as the sample draws, if there is time. Eight epochs would reach 45 %, and sixteen no more.
  const auto dataset = cifar10::generate(4, tensair::test::sanitized ? 5'000 : 20'000, 2'000);

  auto classifier = LinearClassifier{};
  for (auto epoch = std::size_t{0}; epoch < 2; ++epoch) {
    for (const auto i : cifar10::order(dataset.train.size(), 4, epoch)) {
      classifier.train(dataset.train[i], 0.001F / static_cast<float>(1 + epoch));
    }
  }

  const auto accuracy = classifier.accuracy(dataset.test);
  CAPTURE(accuracy);
  CHECK(accuracy > 0.3);  // chance is 0.1
  CHECK(accuracy < 0.5);
}

TEST_CASE("the order of an epoch visits every image once, the same on every node", "[samples][cifar10]") {
  const auto n = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{1'000});

  auto order = cifar10::order(n, 1, 0);
  CHECK(order == cifar10::order(n, 1, 0));

  std::ranges::sort(order);
  auto all = std::vector<std::uint32_t>(n);
  std::iota(all.begin(), all.end(), 0U);
  CHECK(order == all);
}

TEST_CASE("every epoch and every seed has an order of its own", "[samples][cifar10]") {
  auto orders = std::vector<std::vector<std::uint32_t>>{};
  for (auto seed : {0, 1, 2}) {
    for (auto epoch : {0, 1, 2}) {
      orders.push_back(cifar10::order(1'000, static_cast<std::uint64_t>(seed), static_cast<std::size_t>(epoch)));
    }
  }
  std::ranges::sort(orders);
  CHECK(std::ranges::adjacent_find(orders) == orders.end());
}

TEST_CASE("an epoch's order is uniform: every image comes first equally often", "[samples][cifar10]") {
  constexpr auto n = std::size_t{10};
  constexpr auto epochs = std::size_t{10'000};
  auto first = std::array<double, n>{};
  for (auto epoch = std::size_t{0}; epoch < epochs; ++epoch) {
    ++first.at(cifar10::order(n, 5, epoch).front());
  }

  constexpr auto expected = static_cast<double>(epochs) / n;
  auto chi_square = 0.0;
  for (const auto count : first) {
    chi_square += (count - expected) * (count - expected) / expected;
  }
  CHECK(chi_square < 27.88);  // the 99.9th percentile with nine degrees of freedom
}
