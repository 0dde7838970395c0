#include <fmt/format.h>

#include <algorithm>
#include <tensair/error.hpp>
#include <tensair/model/sparse_change.hpp>
#include <tensair/model/step_rule.hpp>
#include <utility>

namespace tensair {
namespace {

template <class Values, class Visit>
void for_each_stretch(std::span<const Segment> segments, Values values, Visit visit) {
  for (const auto& segment : segments) {
    visit(segment.first, values.first(segment.count));
    values = values.subspan(segment.count);
  }
}

}  // namespace

void SparseChange::begin(std::span<const Segment> touched, std::span<const float> parameters) {
  std::uint64_t end = 0;
  std::size_t count = 0;
  for (const auto& segment : touched) {
    if (segment.count == 0 || segment.first < end || segment.end() > parameters.size()) {
      throw Error(fmt::format("touched(batch) names parameters {} to {}, of {}, behind {}", segment.first,
                              segment.end(), parameters.size(), end),
                  "model", "Give stretches that are ascending, apart, not empty, and within the parameters.");
    }
    end = segment.end();
    count += segment.count;
  }
  segments.assign(touched.begin(), touched.end());
  values.resize(count);
  for_each_stretch(segments, std::span(values), [&](std::size_t first, std::span<float> stretch) {
    std::copy_n(parameters.begin() + static_cast<std::ptrdiff_t>(first), stretch.size(), stretch.begin());
  });
}

void SparseChange::finish(std::span<float> parameters) {
  finite = std::all_of(segments.begin(), segments.end(),
                       [&](const Segment& one) { return all_finite(parameters.subspan(one.first, one.count)); });
  if (!finite) put_back(parameters);
  for_each_stretch(segments, std::span(values), [&](std::size_t first, std::span<float> stretch) {
    const float* const now = parameters.data() + first;
    for (std::size_t i = 0; i < stretch.size(); ++i) stretch[i] = now[i] - stretch[i];
  });
}

void SparseChange::put_back(std::span<float> parameters) const {
  for_each_stretch(segments, std::span(values), [&](std::size_t first, std::span<const float> stretch) {
    std::copy(stretch.begin(), stretch.end(), parameters.begin() + static_cast<std::ptrdiff_t>(first));
  });
}

void SparseChange::take_back(std::span<float> parameters, float share) {
  for_each_stretch(segments, std::span(values), [&](std::size_t first, std::span<float> stretch) {
    float* const now = parameters.data() + first;
    for (std::size_t i = 0; i < stretch.size(); ++i) {
      const float less = share * stretch[i];
      now[i] -= less;
      stretch[i] -= less;
    }
  });
}

auto SparseChanges::get() -> std::shared_ptr<SparseChange> {
  std::unique_ptr<SparseChange> change;
  {
    const std::lock_guard lock{mutex_};
    if (!free_.empty()) {
      change = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!change) change = std::make_unique<SparseChange>();
  return {change.release(), [home = weak_from_this()](SparseChange* raw) {
            auto back = std::unique_ptr<SparseChange>(raw);
            if (const auto changes = home.lock()) {
              const std::lock_guard lock{changes->mutex_};
              changes->free_.push_back(std::move(back));
            }
          }};
}

}  // namespace tensair
