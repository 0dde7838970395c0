#pragma once

#include <memory>
#include <tensair/model/labelled.hpp>
#include <tensair/model/model.hpp>
#include <tensair/operators/label_join.hpp>
#include <utility>

namespace tensair {

/// A stream with keys on its way into a model: what `stream.key_by(f).model(net)` returns.
template <class Keyed, class Collate>
class KeyedModelStream {
  using T = typename Keyed::value_type;
  using K = typename Keyed::key_type;

 public:
  KeyedModelStream(Keyed stream, ModelHandle net, Collate collate)
      : stream_(std::move(stream)), net_(std::move(net)), collate_(std::move(collate)) {}

  /// Predicts every record when it comes, and learns from it when its label does: prequential evaluation with delayed
  /// labels. A prediction is kept until a label with its key comes, for at most `options.within` by the clock of the
  /// node that keeps the key; then the prediction that was made is scored, and the record trained on. Of records with
  /// the same key the first gets the first label. Labels may come first, and wait as long. What has waited in vain is
  /// dropped, and counted in the run's figures ("records without a label", "labels without a record").
  ///
  /// Records and labels meet on the nodes that keep their keys (the `parallel` and `on` of either `key_by` count), and
  /// are trained on in batches (`options.batch`), each once. The model's mode decides whether it learns; evaluations
  /// come in every mode.
  ///
  /// @param labels   a stream with keys of the same type: `labels.key_by(g)`
  /// @param value    of a label: a tensor, a class number (an integer), or a value (a floating-point number)
  /// @return `LabelledStreams`: the predictions, and an `Evaluation` of each batch; neither need be used. An evaluation
  ///         whose records were predicted by several replicas has the replica and node -1 and the least version
  ///
  /// @code
  /// auto [predictions, evaluations] = visits.key_by(&Visit::id)
  ///                                      .model(net)
  ///                                      .train_on(purchases.key_by(&Purchase::visit), &Purchase::bought,
  ///                                                {.within = 1h});
  /// predictions.sink(print);
  /// evaluations.sink([](const tensair::Evaluation& one) { std::printf("loss %.3f\n", one.score.loss); });
  /// @endcode
  /// @throws UsageError  `within` is not positive; an impossible batch
  /// @throws UserError   (stops the pipeline) when `value`, `collate` or a key function throws
  template <class Labels, class LabelOf>
  auto train_on(Labels labels, LabelOf value, LabelOptions options = {}) && {
    using L = typename Labels::value_type;
    using Pair = Labelled<T, L>;
    static_assert(detail::Target<std::remove_cvref_t<std::invoke_result_t<LabelOf&, const L&>>>,
                  "train_on(labels, value): value takes a label and returns a tensor, a class number or a value");
    static_assert(!Keyed::expires && !Labels::expires, "train_on(…, {.within}) says how long records are kept");
    if (options.within <= Duration::zero())
      throw UsageError("train_on within no time", "after key_by", "Give a time of more than nothing.");
    auto predictions = std::move(stream_.stream_).model(net_, collate_).predict(options.predict);
    auto key = [f = std::move(stream_.f_)](const Prediction<T>& one) mutable -> K {
      return std::invoke(f, one.record);
    };
    auto keyed = predictions.key_by(std::move(key));
    keyed.parallel_ = stream_.parallel_;
    keyed.where_ = std::move(stream_.where_);
    keyed.label_ = std::move(stream_.label_);
    auto pairs = std::move(keyed).template two_inputs<Pair, operators::Untimed>(
        "await_label", std::move(labels),
        [&](auto op, auto left, auto right) {
          return operators::LabelJoin<K, decltype(left), decltype(right), Pair>{op, std::move(left), std::move(right),
                                                                                options.within};
        },
        [](const auto&) { return operators::PassOn{}; });
    auto batches = std::move(pairs).batch(options.batch);
    batches.model(net_, detail::CollateLabelled<T, L, Collate, LabelOf>{collate_, value}).train();
    auto evaluations = batches.map(detail::EvaluateLabelled<T, L, LabelOf>{net_.runtime(), std::move(value)});
    evaluations.op_->may_be_unused = true;
    return LabelledStreams<decltype(predictions), decltype(evaluations)>{std::move(predictions),
                                                                         std::move(evaluations)};
  }

 private:
  Keyed stream_;
  ModelHandle net_;
  Collate collate_;
};

}  // namespace tensair
