#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

// How far replicas are apart, told by sketches.
//
// Replicas cannot send each other their parameters only to compare them. A sketch is a random projection of them, 1 KiB
// whatever the model's size, in which lengths and differences keep their size to a few per cent (Alon, Matias and
// Szegedy, "The space complexity of approximating the frequency moments", 1996; the signs are the same for all). Each
// replica makes one whenever its parameters contain so many steps more, so that replicas are compared at like versions,
// whenever they get there.

namespace tensair {

/// The projection of a replica's parameters, made when they contained `mark` times so many steps.
struct Sketch {
  std::uint32_t replica = 0;
  std::uint64_t mark = 0;
  std::vector<float> values;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& replica& mark& values;
  }
};

inline constexpr std::size_t sketch_size = 256;

/// The projection of `parameters`.
auto sketch_of(std::span<const float> parameters) -> std::vector<float>;

/// The divergence of replicas, from their sketches: the length of their differences to the mean (root mean square),
/// relative to the mean's length. An estimate, right to about a tenth. 0 when all are alike, and for fewer than two.
auto divergence_of(std::span<const std::vector<float>> sketches) -> double;

/// Compares replicas as their sketches come: those of one replica in order of their marks, else in any order.
class DivergenceMeter {
 public:
  explicit DivergenceMeter(int replicas) : replicas_(static_cast<std::size_t>(replicas)) {}

  /// The divergence at the sketch's mark, once all replicas have reached it. A mark that a replica skips, because a
  /// delta brought many steps, counts for nothing: so it does for everybody, whatever came first.
  auto add(Sketch sketch) -> std::optional<double>;

  /// The last measured, and the largest; 0 before there is one.
  auto last() const -> double { return last_; }
  auto largest() const -> double { return largest_; }
  auto measured() const -> std::uint64_t { return measured_; }

 private:
  using ByReplica = std::map<std::uint32_t, std::vector<float>>;  // in one order everywhere: sums are then the same

  std::size_t replicas_;
  std::map<std::uint64_t, ByReplica> marks_;  // that not all replicas have reached
  double last_ = 0, largest_ = 0;
  std::uint64_t measured_ = 0;
};

}  // namespace tensair
