#pragma once

#include <functional>
#include <optional>
#include <tensair/drift/detector.hpp>
#include <tensair/net/codec.hpp>
#include <tensair/operators/process.hpp>
#include <utility>

namespace tensair {

/// What `detect` emits: where a detector has signalled.
template <class K>
struct Drift {
  std::uint64_t index = 0;  ///< how many records of the key there have been, this one included
  EventTime time{};         ///< the record's; `beginning_of_time` on streams without event time
  K key{};
  double statistic = 0;  ///< of the detector's test; its header says in what unit
  DriftLevel level = DriftLevel::drift;

  // Without it a Drift of a plain key crosses nodes as its bytes.
  template <class Archive>
  requires(net::Encodable<K> && !std::is_trivially_copyable_v<K>) void serialize(Archive& archive, unsigned) {
    archive& index& time& key& statistic& level;
  }

  friend auto operator==(const Drift&, const Drift&) -> bool = default;
};

struct DetectOptions {
  bool warnings = false;  ///< emit where a warning begins, too
};

namespace operators {

/// The process function of `detect`: a detector for each key.
template <class K, class T, class P, class V>
class Detect {
 public:
  struct State {
    std::optional<typename P::Detector> detector{};
    std::uint64_t index = 0;
    DriftLevel level = DriftLevel::none;
  };
  using Output = Drift<Owned<K>>;

  /// @throws UsageError  a parameter is outside its range
  Detect(P parameters, V value, DetectOptions options)
      : fresh_(std::move(parameters)), value_(std::move(value)), options_(options) {}

  void operator()(const T& record, State& state, ProcessContext<K, Output>& context) {
    if (!state.detector) [[unlikely]]
      state.detector.emplace(fresh_);
    ++state.index;
    const auto level = state.detector->update(static_cast<double>(std::invoke(value_, record)));
    const auto before = std::exchange(state.level, level);
    if (level == DriftLevel::none) [[likely]]
      return;
    const bool warns = options_.warnings && before != DriftLevel::warning;
    if (level == DriftLevel::drift || warns)
      context.emit({state.index, context.time(), context.key(), state.detector->statistic(), level});
  }

 private:
  typename P::Detector fresh_;
  [[no_unique_address]] V value_;
  DetectOptions options_;
};

}  // namespace operators
}  // namespace tensair
