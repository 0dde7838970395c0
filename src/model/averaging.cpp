#include <tensair/model/averaging.hpp>
#include <tensair/model/delta.hpp>
#include <utility>

namespace tensair {

void PartOfAverage::add(const PartOfAverage& other) {
  replicas += other.replicas;
  tensair::add(sum, other.sum);
}

auto OpenAverages::add(PartOfAverage part) -> const PartOfAverage& {
  const auto round = part.round;
  const auto [at, is_new] = rounds_.try_emplace(round);
  if (is_new) {
    at->second = std::move(part);
  } else {
    at->second.add(part);
  }
  return at->second;
}

auto OpenAverages::take(std::uint64_t round) -> PartOfAverage {
  auto node = rounds_.extract(round);
  return std::move(node.mapped());
}

auto OpenAverages::take_first() -> std::optional<PartOfAverage> {
  if (rounds_.empty()) return std::nullopt;
  return take(rounds_.begin()->first);
}

auto AveragedValues::begin(std::uint64_t round, std::span<const float> values) -> PartOfAverage {
  auto& then = then_[round];
  then.assign(values.begin(), values.end());
  return {round, 1, then};
}

void AveragedValues::finish(std::uint64_t round, std::span<const float> mean, std::span<float> values) {
  const auto then = then_.extract(round);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += mean[i] - then.mapped()[i];
}

}  // namespace tensair
