#pragma once

#include <algorithm>
#include <stdexcept>
#include <tensair/key_value.hpp>
#include <tensair/metrics/measurement.hpp>
#include <tensair/metrics/metric.hpp>
#include <tensair/metrics/outcome.hpp>
#include <tensair/operators/key_by.hpp>
#include <tuple>
#include <utility>
#include <vector>

namespace tensair::operators {

/// A key's metrics.
template <class Metrics>
struct Measured {
  Metrics metrics;
  std::uint64_t index = 0, since = 0;  // records, and those since the last measurement
  EventTime latest = beginning_of_time;
};

/// The stage of `measure(options, metrics…)`: updates its key's metrics with each record, and emits what they say every
/// so many records and at the end.
/// @tparam Keyed  emits the key with each measurement
template <class K, class Stamp, bool Keyed, class Function, class Metrics, class Next>
class MeasureStage : public KeyedStage<K, Function, Measured<Metrics>, Next> {
  using Base = KeyedStage<K, Function, Measured<Metrics>, Next>;
  using Entry = typename Base::Entry;

 public:
  MeasureStage(plan::OperatorRef op, Function function, MeasureOptions options, Metrics metrics, Next next)
      : Base(std::move(function), std::move(next)), op_(op), options_(options), metrics_(std::move(metrics)) {}

  template <class T>
  void operator()(T&& record, Stamp stamp) {
    auto& entry = this->entry_of(std::as_const(record), [&] { return Measured<Metrics>{metrics_}; });
    auto& state = this->state(entry);
    for_each(state.metrics, [&](auto& metric) { update(metric, std::as_const(record)); });
    ++state.index;
    if constexpr (is_timed<Stamp>) state.latest = std::max(state.latest, stamp);
    if (++state.since == options_.every) emit(entry, stamp);
  }

  // The last measurements come before the last watermark, which waits for them.
  void watermark(EventTime time) {
    if (time == end_of_time) return;
    watermark_ = time;
    this->next_.watermark(time);
  }
  void flush() {
    Base::flush();
    if (!finishing_ || ended_) return;
    end();
    this->next_.flush();
  }
  void finish() {
    finishing_ = true;
    end();
  }
  auto blocked() -> bool { return (finishing_ && !ended_) || this->next_.blocked(); }

 private:
  template <class Body>
  void for_each(Metrics& metrics, const Body& body) {
    const auto all = [&] {
      try {
        std::apply([&](auto&... metric) { (body(metric), ...); }, metrics);
      } catch (const Error& error) {
        // As what a lambda throws, so that the operator, the node and the record are named.
        throw std::invalid_argument(error.failed() + ". " + error.remedy());
      }
    };
    call(op_, all);
  }

  template <class M, class T>
  static void update(M& metric, const T& record) {
    const auto& truth = metrics::detail::truth_of(record);
    const auto& prediction = metrics::detail::prediction_of(record);
    const double weight = metrics::detail::weight_of(record);
    if constexpr (requires { metric.update(truth, prediction, weight); }) {
      metric.update(truth, prediction, weight);
    } else {
      if (weight != 1)
        throw Error("metric «" + metric.name() + "» takes no weights", "measure", "Let all records weigh 1.");
      metric.update(truth, prediction);
    }
  }

  void emit(Entry& entry, Stamp stamp) {
    auto& state = this->state(entry);
    state.since = 0;
    // All are read before any is emitted: a metric that throws is told of as such, and what a later operator throws as
    // that one's.
    readings_.clear();
    const auto note = [&](std::string name, double value) {
      readings_.push_back({state.index, state.latest, std::move(name), value});
    };
    for_each(state.metrics, [&](const auto& metric) {
      if constexpr (requires { metric.report(note); }) {
        metric.report(note);
      } else {
        note(metric.name(), static_cast<double>(metric.value()));
      }
    });
    for (auto& measurement : readings_) {
      if constexpr (Keyed) {
        this->next_(KeyValue<K, Measurement>{K(entry.key), std::move(measurement)}, stamp);
      } else {
        this->next_(std::move(measurement), stamp);
      }
    }
  }

  void end() {
    if (ended_) return;
    auto& states = *this->states_;
    for (; next_key_ < states.size() && !this->next_.blocked(); ++next_key_) {
      auto& entry = states.at(next_key_);
      const auto& state = this->state(entry);
      if (state.since == 0) continue;
      if constexpr (is_timed<Stamp>) {
        emit(entry, std::max(state.latest, watermark_));
      } else {
        emit(entry, Untimed{});
      }
    }
    if (next_key_ < states.size()) return;
    ended_ = true;
    if constexpr (is_timed<Stamp>) this->next_.watermark(end_of_time);
    this->next_.finish();
  }

  plan::OperatorRef op_;
  MeasureOptions options_;
  Metrics metrics_;  // with nothing in them
  std::vector<Measurement> readings_;
  std::size_t next_key_ = 0;
  EventTime watermark_ = beginning_of_time;
  bool finishing_ = false, ended_ = false;
};

/// The operator before it is bound to the stage behind it.
template <class K, class Stamp, bool Keyed, class Function, class Metrics>
struct Measure {
  plan::OperatorRef op;
  Function function;
  MeasureOptions options;
  Metrics metrics;

  template <class Next>
  auto bind(Next next) && -> MeasureStage<K, Stamp, Keyed, Function, Metrics, Next> {
    return {op, std::move(function), options, std::move(metrics), std::move(next)};
  }
};

}  // namespace tensair::operators
