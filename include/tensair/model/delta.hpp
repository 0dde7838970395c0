#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <tensair/model/segment.hpp>
#include <tensair/net/codec.hpp>
#include <vector>

// Deltas are summed, not queued.
//
// A delta is additive, so the order of addition does not matter and two deltas can be one. Wherever a delta has to wait
// (for a replica in the middle of a step, for a link that is writing) there is an Accumulator, and what arrives
// meanwhile is added to what waits. So however slow a peer is, never more than one delta of the model's size waits for
// it (or 4 MiB of smaller ones), a step's cost does not depend on the number of replicas, and nobody waits for anybody.

namespace tensair {

/// Steps of each replica: what a replica's parameters contain.
using VersionVector = std::vector<std::uint64_t>;

/// What one replica put into a delta.
struct Contribution {
  std::uint32_t replica = 0;
  std::uint64_t steps = 0;
  std::uint64_t examples = 0;
  VersionVector
      seen;  ///< what the replica's parameters contained when it made the last of these steps, that step not included;
             ///< empty where deltas travel a tree, because it would be long as often as there are contributions
  std::uint64_t seen_steps = 0;  ///< how many steps of others that was
  std::uint64_t round = 0;       ///< of the last of these steps: see `Pace`

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& replica& steps& examples& seen& seen_steps& round;
  }
};

/// A change for a model's parameters (or a gradient), and who made it. Immutable once it is shared.
///
/// It is dense: a value for each parameter; or sparse: values for those of some segments, one segment after the other,
/// which is what an embedding's touched rows are. Without values it says who stepped, and changes nothing.
struct Delta {
  std::span<const float> values;
  std::span<const Segment> segments{};  ///< ascending and apart; empty: dense
  std::shared_ptr<const void> owner;    ///< keeps values and segments: a buffer, or the message they came in
  std::vector<Contribution> contributions;

  auto is_sparse() const -> bool { return !segments.empty(); }
};

using SharedDelta = std::shared_ptr<const Delta>;

/// Adds `from` to `to`, element by element.
void add(std::span<float> to, std::span<const float> from);
/// Adds a delta to all of a model's parameters.
void add(std::span<float> to, const Delta& delta);

/// @throws net::Malformed  unless they are ascending, apart, not empty, within the parameters, and of so many values
void check_segments(std::span<const Segment> segments, std::size_t parameters, std::size_t values);

/// The place where deltas wait. Any thread may add and take.
///
/// Small deltas are only referred to until there are some megabytes of them; it is `take` that adds them up, in the
/// thread that wants the sum: a replica that publishes to many links adds nothing up itself, unless a link is far
/// behind.
class Accumulator {
 public:
  explicit Accumulator(std::size_t parameters) : parameters_(parameters) {}

  /// A lone delta is not copied. The sum of sparse ones is sparse as long as that is less to keep.
  void add(const SharedDelta& delta);
  /// All that was added since the last time, or null.
  auto take() -> SharedDelta;
  auto empty() const -> bool;

 private:
  class Sum;
  std::size_t parameters_;
  mutable std::mutex mutex_;
  std::shared_ptr<Sum> sum_;          // of what came first
  std::vector<SharedDelta> waiting_;  // came since
  std::size_t waiting_values_ = 0;
};

/// Buffers for deltas, used again when everybody has let go of them, so that a step allocates nothing.
class DeltaBuffers : public std::enable_shared_from_this<DeltaBuffers> {
 public:
  /// Memory for so many floats.
  using Allocate = std::function<std::shared_ptr<float>(std::size_t)>;

  explicit DeltaBuffers(std::size_t parameters, Allocate allocate = in_main_memory);

  /// A buffer of undefined content; returns here when the last reference goes.
  auto get() -> std::shared_ptr<const std::span<float>>;

  static auto in_main_memory(std::size_t count) -> std::shared_ptr<float>;

 private:
  struct Lent;
  std::size_t parameters_;
  Allocate allocate_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<float>> free_;
};

}  // namespace tensair
