#pragma once

#include <memory>
#include <span>
#include <tensair/model/delta.hpp>
#include <tensair/model/sparse_change.hpp>
#include <utility>

namespace tensair {

/// What a step has changed, as a delta that keeps it alive; without contributions. Null of null.
inline auto delta_of(std::shared_ptr<const std::span<float>> change) -> std::shared_ptr<Delta> {
  if (!change) return nullptr;
  auto delta = std::make_shared<Delta>();
  delta->values = *change;
  delta->owner = std::move(change);
  return delta;
}

inline auto delta_of(std::shared_ptr<SparseChange> change) -> std::shared_ptr<Delta> {
  if (!change) return nullptr;
  auto delta = std::make_shared<Delta>();
  delta->values = change->values;
  delta->segments = change->segments;
  delta->owner = std::move(change);
  return delta;
}

}  // namespace tensair
