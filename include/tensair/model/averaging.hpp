#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

// Bringing replicas back together, without waiting for anybody.
//
// Replicas that apply each other's gradients with optimisers of their own drift apart. In a round of averaging each of
// them tells all others its values at some moment of its own choice, and goes on; the values travel like deltas do, and
// add up on the way. When those of all replicas have arrived, each adds the difference of the mean to its own values of
// that moment: what it has learnt meanwhile it keeps, and so does everybody. (Model averaging, as in McDonald et al.,
// "Distributed training strategies for the structured perceptron", 2010, but that nobody stops for it.)

namespace tensair {

/// Values of some replicas in one round of averaging, added up.
struct PartOfAverage {
  std::uint64_t round = 0;
  std::uint64_t replicas = 0;
  std::vector<float> sum;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& round& replicas& sum;
  }

  void add(const PartOfAverage& other);
};

/// Rounds of which parts are still to come, or to be sent.
class OpenAverages {
 public:
  /// The round's sum after the part was added.
  auto add(PartOfAverage part) -> const PartOfAverage&;
  /// The round, which is then forgotten.
  auto take(std::uint64_t round) -> PartOfAverage;
  /// The first one, in order of their numbers.
  auto take_first() -> std::optional<PartOfAverage>;

 private:
  std::map<std::uint64_t, PartOfAverage> rounds_;
};

/// The rounds one replica takes part in: its values then, until the mean is there.
class AveragedValues {
 public:
  /// What a replica tells of its values.
  auto begin(std::uint64_t round, std::span<const float> values) -> PartOfAverage;
  /// Adds to the values what the mean of all replicas' values was above this one's.
  void finish(std::uint64_t round, std::span<const float> mean, std::span<float> values);

 private:
  std::map<std::uint64_t, std::vector<float>> then_;
};

}  // namespace tensair
