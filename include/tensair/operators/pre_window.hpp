#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <tensair/operators/key_by.hpp>
#include <tensair/operators/state_map.hpp>
#include <tensair/operators/window_partial.hpp>
#include <tensair/operators/window_stage.hpp>
#include <utility>
#include <vector>

// Windows in two steps: in front of the exchange each instance adds up what it sees of a slice, and sends what that
// came to when the watermark has passed the slice. So what travels are values of keys, not records; a key that most
// records have is no bottleneck; and windows without keys, which one instance keeps, are filled by all. (Flink's SQL
// calls it local and global aggregation.)
//
// The window operator behind sees a record or a part alike: what has passed this instance's watermark, it gets before
// that watermark. Where times only rise there is a watermark a record. If nobody behind the windows asks for them, only
// those cross by which one more slice is over, or gone with its lateness: all others mean the same to a window.

namespace tensair::operators {

/// Whether windows W can be filled in two steps by an aggregate A of records T. Only where adding cannot fail: a record
/// that fails is the window operator's affair, and `on_error`'s.
template <class W, class A, class T>
inline constexpr bool adds_in_front = false;
template <class W, class A, class T>
requires(std::is_base_of_v<SlidingWindows, W>) inline constexpr bool adds_in_front<W, A, T> =
    adding_is_safe<A, T> && std::copy_constructible<A> && std::copy_constructible<AggregateState<A>>;

/// In front of the exchange. Passes records through if nothing is exchanged.
template <class K, class Function, class Windows, class A, class Next>
class PreWindowStage : public StageBase<Next> {
  using State = AggregateState<A>;
  using Part = WindowPartial<K, State>;
  using Map = StateMap<K, Counted<State>>;

 public:
  PreWindowStage(Function function, Windows windows, std::chrono::microseconds lateness, A aggregate, Next next)
      : StageBase<Next>(std::move(next)),
        function_(std::move(function)),
        windows_(windows),
        lateness_(lateness),
        aggregate_(std::move(aggregate)) {}

  void open(StageContext& context) {
    this->next_.open(context);
    passes_through_ = this->next_.is_fused();
  }

  template <class R>
  [[gnu::always_inline]] void operator()(R&& record, EventTime time) {
    if (passes_through_) [[likely]] {
      this->next_.pass(std::forward<R>(record), time);
    } else {
      take(std::as_const(record), time);
    }
  }

  [[gnu::always_inline]] void watermark(EventTime time) {
    if (passes_through_) {
      this->next_.watermark(time);
      return;
    }
    watermark_ = time;
    if (idle_) [[unlikely]]
      back_ = true;
    if (time == end_of_time || (!slices_->empty() && slices_->front()->span.end <= time)) {
      advance();
    } else if (!sending_ && (!thins || time >= next_edge_)) {
      // As `advance` would. With a call of that instead g++ makes the loop in which nothing is exchanged a fifth
      // slower.
      passed_on_ = time;
      if constexpr (thins) next_edge_ = edge_behind(time);
      this->next_.watermark(time);
    }
  }
  // Others do not wait for this instance any more: they must have all it knows.
  void idle() {
    if (passes_through_) {
      this->next_.idle();
      return;
    }
    idle_ = true;
    advance();
  }
  void flush() {
    this->next_.flush();
    if (!sending_) return;
    advance();
    this->next_.flush();
  }
  void finish() {
    if (passes_through_) {
      this->next_.finish();
      return;
    }
    finishing_ = true;
    watermark_ = end_of_time;
    advance();
  }
  [[gnu::always_inline]] auto blocked() -> bool { return sending_ || this->next_.blocked(); }

 private:
  struct Slice {
    Window span;
    Map parts{};
  };

  static constexpr bool thins = requires { requires Next::Behind::heeds_only_ends; };

  // As many keys as stay near the processor. Those that come first are mostly the frequent ones; of others each record
  // goes as a part of its own.
  static constexpr std::size_t most_keys = std::size_t{1} << 14;

  // Not inlined, so that the loop in which nothing is exchanged stays small.
  template <class R>
  [[gnu::noinline]] void take(const R& record, EventTime time) {
    const bool same = current_ != nullptr && current_->span.contains(time);
    if (Slice* slice = same ? current_ : slice_of(record, time); slice != nullptr) add(*slice, record);
  }

  template <class R>
  void add(Slice& slice, const R& record) {
    const auto& key = function_.key(record);
    const auto hash = function_.hash(key);
    auto* entry = slice.parts.find(key, hash);
    if (entry == nullptr && slice.parts.size() >= most_keys) {
      send_alone(key, record, slice.span.start);
      return;
    }
    if (entry == nullptr)
      entry = &slice.parts.find_or_make(key, hash, [&] { return Counted<State>{aggregate_.init()}; });
    aggregate_.add(entry->value.state, record);
    ++entry->value.records;
  }

  // Where the record is counted, made if need be; none for one that nothing counts here.
  template <class R>
  [[gnu::noinline]] auto slice_of(const R& record, EventTime time) -> Slice* {
    if (time > EventTime{most_remote} || time < EventTime{-most_remote}) throw_too_remote(*function_.op);
    const Window span = windows_.slice_of(time);
    if (!windows_.last_window(span).contains(time)) return nullptr;  // in no window
    if (span.end <= watermark_) {
      send_alone(function_.key(record), record, span.start);
      return nullptr;
    }
    auto at = slices_->begin();
    while (at != slices_->end() && (*at)->span.start < span.start) ++at;
    if (at == slices_->end() || (*at)->span != span) {
      at = slices_->insert(at, spare_.value ? std::move(spare_.value) : std::make_unique<Slice>());
      (*at)->span = span;
    }
    return current_ = at->get();
  }

  template <class Key, class R>
  void send_alone(const Key& key, const R& record, EventTime time) {
    auto part = Part{K(key), {aggregate_.init(), 1}};
    aggregate_.add(part.value.state, record);
    this->next_(std::move(part), time);
  }

  // The first watermark from now on that says more than `time` did. Further away than windows lie, each does.
  [[gnu::noinline]] auto edge_behind(EventTime time) const -> EventTime {
    const EventTime near = std::clamp(time, EventTime{-most_remote}, EventTime{most_remote});
    return std::min(windows_.slice_of(near).end, windows_.slice_of(near - lateness_).end + lateness_);
  }

  // Sends slices that are over, as far as the stage behind takes them; then the watermark.
  void advance() {
    sending_ = true;
    while (!slices_->empty() && (idle_ || slices_->front()->span.end <= watermark_)) {
      auto& first = slices_->front();
      if (current_ == first.get()) current_ = nullptr;
      for (; next_key_ < first->parts.size(); ++next_key_) {
        if (this->next_.blocked()) return;
        auto& entry = first->parts.at(next_key_);
        this->next_(Part{K(entry.key), std::move(entry.value)}, first->span.start);
      }
      next_key_ = 0;
      first->parts.clear();
      spare_.value = std::move(first);
      slices_->erase(slices_->begin());
    }
    sending_ = false;
    if (std::exchange(passed_on_, watermark_) != watermark_) {
      if constexpr (thins) next_edge_ = edge_behind(watermark_);
      this->next_.watermark(watermark_);
    }
    if (std::exchange(idle_, false) && !std::exchange(back_, false)) {
      next_edge_ = beginning_of_time;  // the next watermark, whichever it is, says that this instance is back
      this->next_.idle();
    }
    if (finishing_ && !std::exchange(ended_, true)) this->next_.finish();
  }

  Function function_;
  Windows windows_;
  std::chrono::microseconds lateness_;
  A aggregate_;
  Fresh<std::vector<std::unique_ptr<Slice>>> slices_;  // by time
  Fresh<std::unique_ptr<Slice>> spare_;                // empty, but with a table of some size
  Slice* current_ = nullptr;                           // where the next record belongs, most likely
  std::size_t next_key_ = 0;                           // of the first slice, to be sent
  EventTime watermark_ = beginning_of_time, passed_on_ = beginning_of_time, next_edge_ = beginning_of_time;
  bool passes_through_ = false, sending_ = false, idle_ = false, finishing_ = false, ended_ = false;
  bool back_ = false;  // since `idle_`, which is not to be passed on then
};

/// The operator before it is bound to the stage behind it.
template <class K, class Function, class Windows, class A>
struct PreWindow {
  Function function;
  Windows windows;
  std::chrono::microseconds lateness;
  A aggregate;

  template <class Next>
  auto bind(Next next) && -> PreWindowStage<K, Function, Windows, A, Next> {
    return {std::move(function), windows, lateness, std::move(aggregate), std::move(next)};
  }
};

}  // namespace tensair::operators
