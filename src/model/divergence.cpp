#include <algorithm>
#include <array>
#include <cmath>
#include <tensair/model/divergence.hpp>
#include <utility>

namespace tensair {
namespace {

// Steele, Lea and Flood's splitmix64.
auto mixed(std::uint64_t x) -> std::uint64_t {
  x += 0x9e37'79b9'7f4a'7c15U;
  x = (x ^ x >> 30) * 0xbf58'476d'1ce4'e5b9U;
  x = (x ^ x >> 27) * 0x94d0'49bb'1331'11ebU;
  return x ^ x >> 31;
}

}  // namespace

// Each block of parameters is added to the sketch, turned by a random number of places and each value with a random
// sign. Turned, because a model's rows are often as long as a block: else a column's values would all meet in one.
auto sketch_of(std::span<const float> parameters) -> std::vector<float> {
  std::vector<float> sketch(2 * sketch_size);
  for (std::size_t begin = 0, block = 0; begin < parameters.size(); begin += sketch_size, ++block) {
    const auto values = parameters.subspan(begin, std::min(sketch_size, parameters.size() - begin));
    float* const turned = sketch.data() + mixed(block) % sketch_size;
    for (std::size_t i = 0; i < values.size(); i += 64) {
      const auto signs = mixed(block << 8 | i | std::uint64_t{1} << 63);
      const auto end = std::min<std::size_t>(values.size(), i + 64);
      for (std::size_t k = i; k < end; ++k) turned[k] += (signs >> (k - i) & 1) != 0 ? values[k] : -values[k];
    }
  }
  for (std::size_t i = 0; i < sketch_size; ++i) sketch[i] += sketch[sketch_size + i];
  sketch.resize(sketch_size);
  return sketch;
}

auto divergence_of(std::span<const std::vector<float>> sketches) -> double {
  if (sketches.size() < 2) return 0;
  const auto count = static_cast<double>(sketches.size());
  double squares = 0, length = 0;
  for (std::size_t i = 0; i < sketches.front().size(); ++i) {
    double mean = 0;
    for (const auto& sketch : sketches) mean += static_cast<double>(sketch[i]) / count;
    length += mean * mean;
    for (const auto& sketch : sketches) {
      const double difference = static_cast<double>(sketch[i]) - mean;
      squares += difference * difference / count;
    }
  }
  return length > 0 ? std::sqrt(squares / length) : 0;
}

auto DivergenceMeter::add(Sketch sketch) -> std::optional<double> {
  std::erase_if(marks_,
                [&](const auto& mark) { return mark.first < sketch.mark && !mark.second.contains(sketch.replica); });
  auto& reached = marks_[sketch.mark];
  reached[sketch.replica] = std::move(sketch.values);
  if (reached.size() < replicas_ || replicas_ < 2) return std::nullopt;
  std::vector<std::vector<float>> sketches;
  for (auto& [replica, values] : reached) sketches.push_back(std::move(values));
  marks_.erase(sketch.mark);
  last_ = divergence_of(sketches);
  largest_ = std::max(largest_, last_);
  ++measured_;
  return last_;
}

}  // namespace tensair
