#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <tensair/error.hpp>
#include <tensair/io/generator.hpp>
#include <tensair/runtime/source.hpp>
#include <utility>

namespace tensair {

/// A function of a record's number, from 0, and of the time when it is due, that returns `std::optional<T>`: the
/// record, or nothing at the end.
template <class F>
concept Scheduled =
    std::invocable<F&, std::uint64_t, Time> && is_optional<std::invoke_result_t<F&, std::uint64_t, Time>>;

/// A source that keeps to a schedule: what `at_rate` makes.
template <Scheduled F>
class AtRate {
 public:
  using value_type = typename std::invoke_result_t<F&, std::uint64_t, Time>::value_type;

  /// @throws UsageError  the rate is not a positive number
  AtRate(double records_per_second, F make) : rate_(records_per_second), make_(std::move(make)) {
    if (!(rate_ > 0)) throw UsageError("a rate that is not positive", "at_rate", "Give it the records of a second.");
  }

  void open(runtime::Node& node) { clock_ = &node.clock(); }
  auto poll() -> Poll<value_type> {
    if (!start_) start_ = (now_ = clock_->now()) - since_start(next_);
    const Time due = *start_ + since_start(next_);
    // What was due when the clock was last read still is: one that has fallen behind reads it seldom.
    if (now_ < due && (now_ = clock_->now()) < due) return Poll<value_type>::wait(due);
    auto record = make_(next_, due);
    if (!record) return Poll<value_type>::end();
    ++next_;
    return std::move(*record);
  }

  auto offset() const -> std::uint64_t { return next_; }
  void seek(std::uint64_t offset) { next_ = offset; }

 private:
  auto since_start(std::uint64_t record) const -> Duration {
    return Duration{static_cast<Duration::rep>(static_cast<double>(record) * 1e9 / rate_)};
  }

  double rate_;
  F make_;
  const Clock* clock_ = nullptr;
  std::optional<Time> start_;
  Time now_{};
  std::uint64_t next_ = 0;
};

/// A source with a set rate, on node 0: record i is due at start + i / rate, and `make(i, due)` is called then.
///
/// The load is an open loop: the schedule does not wait for the pipeline. One that falls behind gets the records that
/// are overdue as fast as it takes them, each with the time when it *should* have come. So a latency measured from
/// `due` to the sink counts the waiting that a slow pipeline causes, which one measured from the call would leave out.
/// @param records_per_second  positive
/// @param make  `std::optional<T> make(std::uint64_t i, tensair::Time due)`; nothing ends the stream; must not block
///
/// @code
/// struct Ping { std::uint64_t number; tensair::Time due; };
/// pipeline
///     .source(tensair::at_rate(10'000, [](std::uint64_t i, tensair::Time due) -> std::optional<Ping> {
///       if (i == 100'000) return std::nullopt;
///       return Ping{i, due};
///     }))
///     .sink([](const Ping& ping) { print(std::chrono::steady_clock::now() - ping.due); });
/// @endcode
template <Scheduled F>
auto at_rate(double records_per_second, F make) -> AtRate<F> {
  return {records_per_second, std::move(make)};
}

}  // namespace tensair
