#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <tensair/model/delta.hpp>
#include <vector>

namespace tensair {

/// What a step has changed of a model's parameters, where it touches few of them: the rows of an embedding, say.
struct SparseChange {
  std::vector<Segment> segments;  ///< ascending and apart
  std::vector<float> values;      ///< of one segment after the other: what was added to each parameter
  bool finite = true;             ///< else the parameters have the values again that they had before

  /// Begins with the values that the parameters have now.
  /// @throws Error  unless the segments are ascending, apart, not empty and within the parameters
  void begin(std::span<const Segment> touched, std::span<const float> parameters);
  /// Of these values and those that the parameters have now the difference is kept; if one of the latter is not finite,
  /// the step is undone.
  void finish(std::span<float> parameters);
  /// The parameters get the values again that they had at the beginning.
  void put_back(std::span<float> parameters) const;
  /// Takes a share of the change back from the parameters.
  void take_back(std::span<float> parameters, float share);
};

/// Changes that are used again when everybody has let go of them, so that a step allocates nothing.
class SparseChanges : public std::enable_shared_from_this<SparseChanges> {
 public:
  /// One of undefined content; returns here when the last reference goes.
  auto get() -> std::shared_ptr<SparseChange>;

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<SparseChange>> free_;
};

}  // namespace tensair
