#pragma once

#include <tensair/net/codec.hpp>
#include <tensair/operators/owned.hpp>
#include <type_traits>
#include <utility>

namespace tensair {

/// What was true of a record and what had been said: what metrics are updated with. A record of one's own that has
/// members `truth` and `prediction` (and `weight`), or a pair of the two, is as good.
template <class Truth, class Prediction = Truth>
struct Outcome {
  Truth truth;
  Prediction prediction;
  double weight = 1;  ///< how often it counts

  // Without it plain ones cross nodes as their bytes.
  template <class Archive>
  requires(net::Encodable<Truth>&& net::Encodable<Prediction> &&
           !(std::is_trivially_copyable_v<Truth> &&
             std::is_trivially_copyable_v<Prediction>)) void serialize(Archive& archive, unsigned) {
    archive& truth& prediction& weight;
  }

  friend auto operator==(const Outcome&, const Outcome&) -> bool = default;
};

namespace metrics::detail {

template <class T>
concept HasOutcome = requires(const T& record) {
  record.truth;
  record.prediction;
};
template <class T>
concept OutcomePair = requires(const T& record) {
  record.first;
  record.second;
};

template <class T>
inline constexpr bool is_outcome = false;
template <class Truth, class Prediction>
inline constexpr bool is_outcome<Outcome<Truth, Prediction>> = true;

/// Something that says what was true and what was predicted.
template <class T>
concept Told = HasOutcome<T> || OutcomePair<T>;

template <Told T>
auto truth_of(const T& record) -> const auto& {
  if constexpr (HasOutcome<T>) {
    return record.truth;
  } else {
    return record.first;
  }
}
template <Told T>
auto prediction_of(const T& record) -> const auto& {
  if constexpr (HasOutcome<T>) {
    return record.prediction;
  } else {
    return record.second;
  }
}
template <Told T>
auto weight_of(const T& record) -> double {
  if constexpr (requires { static_cast<double>(record.weight); }) {
    return static_cast<double>(record.weight);
  } else {
    return 1;
  }
}

template <Told T>
using TruthOf = std::remove_cvref_t<decltype(truth_of(std::declval<const T&>()))>;
template <Told T>
using PredictionOf = std::remove_cvref_t<decltype(prediction_of(std::declval<const T&>()))>;

/// What of a record is measured: this is what goes to where metrics are.
struct ToOutcome {
  template <Told T>
  auto operator()(const T& record) const -> Outcome<Owned<TruthOf<T>>, Owned<PredictionOf<T>>> {
    return {OwnedRecord<TruthOf<T>>::own(truth_of(record)), OwnedRecord<PredictionOf<T>>::own(prediction_of(record)),
            weight_of(record)};
  }
};

}  // namespace metrics::detail
}  // namespace tensair
