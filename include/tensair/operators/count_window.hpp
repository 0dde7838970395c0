#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <tensair/key_value.hpp>
#include <tensair/operators/aggregate.hpp>
#include <tensair/operators/failures.hpp>
#include <tensair/operators/state_map.hpp>
#include <tensair/operators/time_order.hpp>
#include <tensair/operators/watermark_relay.hpp>
#include <tensair/operators/window_stage.hpp>
#include <utility>
#include <vector>

// Windows of a number of records: the last `size` of a key, whenever `slide` more have come.
//
// As with windows of time, records are added up by slice, and a window's value is put together of its slices by two
// stacks (sliding_window.hpp says whose idea that is); here they are each key's own, as keys are not in step. Slices
// are cut where a window begins or ends: there are two a slide at most.
//
// On streams with event time records are counted in its order: they wait until the watermark has passed them. So the
// windows are the same however the records came. Otherwise they are counted as they come.

namespace tensair {

/// Windows of numbers of records: see `tumbling_count` and `sliding_count`.
struct CountWindows {
  std::uint64_t size, slide;

  auto describe() const -> std::string;
};

/// Windows of `size` records of a key each. What the last one has got is emitted when the stream ends.
///
/// Results are `KeyValue<K, V>`, with the event time of the window's last record if there is event time; what the end
/// of the stream emits has at least that of the watermark, so that it is not late. Records are then counted in the
/// order of their times (those of the same time as they come), whatever the order they come in; with
/// `processing_time(tumbling_count(n))`, and on streams without event time, they are counted as they come.
///
/// @code
/// readings.key_by(&Reading::sensor).window(tensair::tumbling_count(100)).mean(&Reading::celsius);
/// @endcode
/// @throws UsageError  the size is 0
auto tumbling_count(std::uint64_t size) -> CountWindows;

/// The last `size` records of a key (fewer at the beginning), whenever `slide` more have come. Else like
/// `tumbling_count`.
///
/// @code
/// readings.key_by(&Reading::sensor).window(tensair::sliding_count(100, 10)).mean(&Reading::celsius);
/// @endcode
/// @throws UsageError  the size or the slide is 0, or the slide is greater than the size
auto sliding_count(std::uint64_t size, std::uint64_t slide) -> CountWindows;

namespace operators {

/// The windows of a key.
template <class State>
struct KeyCounts {
  /// Records that are added up together, up to number `end`.
  struct Slice {
    std::uint64_t end;
    State state;
  };

  State open;                    // the slice that is not full
  State newer;                   // the value of the slices in `back`
  std::vector<Slice> front{};    // each has the value of all from it on up to a boundary; the oldest is the last
  std::vector<Slice> back{};     // those behind the boundary, oldest first
  std::uint64_t count = 0;       // records
  std::uint64_t emitted = 0;     // the end of the last window
  EventTime last = end_of_time;  // time of the last record
};

/// The stage of windows of numbers of records, which come in the order in which they are counted.
template <class Parts, class Next>
class CountWindowStage : public StageBase<Next> {
  using Key = typename Parts::Key;
  using State = typename Parts::State;
  using Counts = KeyCounts<State>;
  using Entry = typename StateMap<Key, Counts>::Entry;
  static_assert(std::copy_constructible<State>,
                "slices of windows may be in several windows: the aggregate's state must be copyable");

 public:
  CountWindowStage(CountWindows windows, Parts parts, Next next)
      : StageBase<Next>(std::move(next)), windows_(windows), parts_(std::move(parts)) {}

  void open(StageContext& context) {
    failed_windows_.open(context);
    failed_records_.open(context);
    this->next_.open(context);
  }

  template <class R, class Stamp>
  void operator()(R&& record, Stamp stamp) {
    const auto& key = parts_.function.key(std::as_const(record));
    auto& entry = keys_->find_or_make(key, parts_.function.hash(key), [&] { return Counts{new_state(), new_state()}; });
    auto& counts = entry.value;
    const auto run = [&] { parts_.aggregate.add(counts.open, std::as_const(record)); };
    if constexpr (is_timed<Stamp>) {  // it has waited: whoever stands in front does not know of it any more
      try {
        call(parts_.op, run);
      } catch (...) {
        failed_records_.handle(record, [&] { return text_of_key(entry.key); });
        return;
      }
    } else {
      call(parts_.op, run);
    }
    ++counts.count;
    if constexpr (is_timed<Stamp>) counts.last = stamp;
    const bool ends = counts.count % windows_.slide == 0;
    const bool begins = (counts.count + windows_.size) % windows_.slide == 0;
    if (!is_tumbling() && (ends || begins)) close_slice(entry);
    if (ends) emit_window(entry);
  }

  void watermark(EventTime time) {
    watermark_ = time;
    relay_.heard();
    advance();
  }
  void idle() {
    relay_.idle();
    if (!ending_) advance();
  }
  void flush() {
    this->next_.flush();
    if (!ending_) return;
    advance();
    this->next_.flush();
  }
  void finish() {
    finishing_ = true;
    watermark_ = end_of_time;
    advance();
  }
  auto blocked() -> bool { return ending_ || this->next_.blocked(); }

 private:
  auto is_tumbling() const -> bool { return windows_.size == windows_.slide; }
  auto new_state() -> State { return parts_.aggregate.init(); }
  // False: it could not be merged, and that is dealt with.
  auto merge_for(const Owned<Key>& key, State& state, State other) -> bool {
    const auto run = [&] { parts_.aggregate.merge(state, std::move(other)); };
    try {
      call(parts_.op, run);
      return true;
    } catch (...) {
      failed(key, state);
      return false;
    }
  }

  void close_slice(Entry& entry) {
    auto& counts = entry.value;
    merge_for(entry.key, counts.newer, counts.open);
    counts.back.push_back({counts.count, std::exchange(counts.open, new_state())});
  }

  void emit_window(Entry& entry) {
    auto& counts = entry.value;
    counts.emitted = counts.count;
    if (is_tumbling()) {
      emit(entry, counts.open);
      counts.open = new_state();
      return;
    }
    const std::uint64_t end = (counts.count + windows_.slide - 1) / windows_.slide * windows_.slide;
    const std::uint64_t start = end - std::min(end, windows_.size);
    while (!counts.front.empty() && counts.front.back().end <= start) counts.front.pop_back();
    if (counts.front.empty() && !counts.back.empty() && counts.back.front().end <= start) move_to_front(entry, start);
    if (counts.front.empty()) {
      State state = counts.newer;
      emit(entry, state);
    } else {
      State state = counts.front.back().state;
      if (merge_for(entry.key, state, counts.newer)) emit(entry, state);
    }
  }

  // What is behind the boundary comes in front of it, but for the slices that no window has any more.
  void move_to_front(Entry& entry, std::uint64_t start) {
    auto& counts = entry.value;
    for (; !counts.back.empty() && counts.back.back().end > start; counts.back.pop_back()) {
      auto slice = std::move(counts.back.back());
      if (!counts.front.empty()) merge_for(entry.key, slice.state, counts.front.back().state);
      counts.front.push_back(std::move(slice));
    }
    counts.back.clear();
    counts.newer = new_state();
  }

  void emit(Entry& entry, State& state) {
    bool behind = false;  // what is thrown then is not the aggregate's
    try {
      if constexpr (requires { typename Parts::A::Emitted; }) {
        const auto out = [&](typename Parts::A::Emitted record) {
          behind = true;
          send(entry, std::move(record));
          behind = false;
        };
        const auto run = [&] { parts_.aggregate.emit(entry.key, state, out); };
        call(parts_.op, run);
      } else {
        using Result = AggregateResult<typename Parts::A>;
        const auto result = [&]() -> Result { return parts_.aggregate.result(state); };
        auto out = KeyValue<Key, Result>{Key(entry.key), call(parts_.op, result)};
        behind = true;
        send(entry, std::move(out));
      }
    } catch (...) {
      if (behind) throw;
      failed(entry.key, state);
    }
  }
  // In a catch block.
  [[gnu::cold, gnu::noinline]] void failed(const Owned<Key>& key, const State& state) {
    failed_windows_.handle(FailedKey<Key, State>{key, state}, [&] {
      return text_of_key(key) + (ending_ ? ", at the end of the stream" : ", a full window");
    });
  }
  template <class Out>
  void send(const Entry& entry, Out&& out) {
    if constexpr (Parts::processing_time) {
      this->next_(std::forward<Out>(out), Untimed{});
    } else {
      this->next_(std::forward<Out>(out), std::max(entry.value.last, relay_.last()));
    }
  }

  // Passes the watermark on; at the end, after the windows that are not full.
  void advance() {
    if (watermark_ == end_of_time) {
      ending_ = true;
      for (; next_key_ < keys_->size(); ++next_key_) {
        if (this->next_.blocked()) return;
        auto& entry = keys_->at(next_key_);
        if (entry.value.emitted == entry.value.count) continue;
        if (!is_tumbling() && last_end(entry.value) != entry.value.count) close_slice(entry);
        emit_window(entry);
      }
      ending_ = false;
    }
    if constexpr (!Parts::processing_time) relay_.pass_on(watermark_, this->next_);
    if (finishing_ && !std::exchange(ended_, true)) this->next_.finish();
  }
  static auto last_end(const Counts& counts) -> std::uint64_t {
    if (!counts.back.empty()) return counts.back.back().end;
    return counts.front.empty() ? 0 : counts.front.front().end;
  }

  CountWindows windows_;
  Parts parts_;
  Fresh<StateMap<Key, Counts>> keys_;
  Failures<FailedKey<Key, State>> failed_windows_;
  Failures<typename Parts::Record> failed_records_;
  EventTime watermark_ = beginning_of_time;
  WatermarkRelay relay_;
  std::size_t next_key_ = 0;  // of those that are asked for the rest at the end
  bool ending_ = false, finishing_ = false, ended_ = false;
};

/// The same behind records in the order of their times.
template <class Parts, class Next>
class TimedCountWindowStage
    : public TimeOrderStage<typename Parts::Record, typename Parts::Late, CountWindowStage<Parts, Next>> {
  using Base = TimeOrderStage<typename Parts::Record, typename Parts::Late, CountWindowStage<Parts, Next>>;

 public:
  TimedCountWindowStage(CountWindows windows, Parts parts, Next next)
      : Base(parts.late, CountWindowStage<Parts, Next>(windows, parts, std::move(next))) {}
};

}  // namespace operators
}  // namespace tensair
