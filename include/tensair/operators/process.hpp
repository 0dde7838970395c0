#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <tensair/operators/failures.hpp>
#include <tensair/operators/key_by.hpp>
#include <tensair/operators/timers.hpp>
#include <tensair/operators/watermark_relay.hpp>
#include <utility>
#include <vector>

// A process function: what a user writes when no other operator fits. It has a state for each key, emits what it wants
// when it wants, and asks to be called again at a time.
//
// A timer is a heap entry (time, key) and a note in the key's state. What a heap entry says counts only if the note is
// still there: so a timer asked for twice comes once, and cancelling is forgetting the note.

namespace tensair {

namespace operators {
template <class K, class T, class Stamp, class Function, class P, class Next>
class ProcessStage;
}

/// A timer at which a process function has thrown: what its dead letters have for a record. See `dead_letter`.
///
/// @code
/// /// Passes on what a reading was ten seconds later, unless that was impossible.
/// struct Delayed {
///   using State = double;
///   using Output = double;
///   using Context = tensair::ProcessContext<std::string, Output>;
///
///   void operator()(const Reading& one, State& last, Context& context) {
///     last = one.celsius;
///     context.at(context.now() + 10s);
///   }
///   void on_processing_time(tensair::Time, State& last, Context& context) {
///     if (last < -273.15) throw std::domain_error("below absolute zero");
///     context.emit(last);
///   }
/// };
/// using Failed = tensair::FailedTimer<std::string>;
/// const auto tell = [](const tensair::DeadLetter<Failed>& letter) { std::puts(letter.record.key.c_str()); };
/// readings.key_by(&Reading::sensor).process(Delayed{}).on_error(tensair::dead_letter<Failed>(tell)).sink(print);
/// @endcode
template <class K>
struct FailedTimer {
  K key;
  EventTime time;                   ///< that it was set for; in processing time on the axis of `Time`
  bool in_processing_time = false;  ///< whether that is what it was set for

  template <class Archive>
  requires(net::Encodable<K> && !std::is_trivially_copyable_v<K>) void serialize(Archive& archive, unsigned) {
    archive& key& time& in_processing_time;
  }
  friend auto operator==(const FailedTimer&, const FailedTimer&) -> bool = default;
};

/// What a process function can do while it is called: about the key of the record or timer it is called for.
template <class K, class Out>
class ProcessContext {
 public:
  virtual ~ProcessContext() = default;

  virtual auto key() const -> const Owned<K>& = 0;
  /// The record's event time, or the timer's. On streams without event time, and in processing-time timers:
  /// `beginning_of_time`.
  virtual auto time() const -> EventTime = 0;
  /// No record with an earlier time is expected any more.
  virtual auto watermark() const -> EventTime = 0;
  /// Processing time.
  virtual auto now() const -> Time = 0;

  /// Emits a record, with the time of the record or timer at hand.
  virtual void emit(Out out) = 0;

  /// Calls `on_event_time(time, state, context)` for this key once the watermark has reached `time`. Streams with event
  /// time only.
  virtual void at(EventTime time) = 0;
  /// Calls `on_processing_time(now, state, context)` for this key at `time`.
  virtual void at(Time time) = 0;
  /// Takes back what `at` asked for.
  virtual void cancel(EventTime time) = 0;
  virtual void cancel(Time time) = 0;
  /// Forgets this key's state, and its timers, when the function has returned.
  virtual void forget() = 0;

 protected:
  ProcessContext() = default;
  ProcessContext(const ProcessContext&) = default;
  ProcessContext(ProcessContext&&) = default;
  auto operator=(const ProcessContext&) -> ProcessContext& = default;
  auto operator=(ProcessContext&&) -> ProcessContext& = default;
};

/// A process function: `State` is what it keeps for each key, `Output` what it emits, and it is called with each
/// record. It may have `on_event_time(EventTime, State&, context)` and `on_processing_time(Time, State&, context)`.
///
/// @code
/// /// Emits the reading at which a sensor has become warm.
/// struct Warm {
///   using State = bool;
///   using Output = Reading;
///   void operator()(const Reading& one, State& warm, tensair::ProcessContext<std::string, Output>& context) {
///     if (!std::exchange(warm, one.celsius > -18) && warm) context.emit(one);
///   }
/// };
/// readings.key_by(&Reading::sensor).process(Warm{}).sink(print);
/// @endcode
template <class P, class K, class T>
concept ProcessFunction = std::move_constructible<P> && std::default_initializable<typename P::State> &&
    requires(P process, const T& record, typename P::State& state, ProcessContext<K, typename P::Output>& context) {
  process(record, state, context);
};

namespace operators {

/// A key's state and the timers it waits for.
template <class State>
struct ProcessState {
  State state{};
  std::vector<EventTime> event_timers{};
  std::vector<Time> timers{};
};

/// Whether a process function asks for timers in event time.
template <class P, class K>
concept has_event_timers = requires(P process, EventTime time, typename P::State& state,
                                    ProcessContext<K, typename P::Output>& context) {
  process.on_event_time(time, state, context);
};

/// The stage of `process(p)`.
template <class K, class T, class Stamp, class Function, class P, class Next>
class ProcessStage : public KeyedStage<K, Function, ProcessState<typename P::State>, Next> {
  using Base = KeyedStage<K, Function, ProcessState<typename P::State>, Next>;
  using Entry = typename Base::Entry;
  using Out = typename P::Output;
  using ContextBase = ProcessContext<K, Out>;
  static constexpr bool has_event_timers = operators::has_event_timers<P, K>;
  static constexpr bool has_timers = requires(P process, Time time, typename P::State& state, ContextBase& context) {
    process.on_processing_time(time, state, context);
  };

 public:
  ProcessStage(plan::OperatorRef op, Function function, P process, Next next)
      : Base(std::move(function), std::move(next)), op_(op), process_(std::move(process)) {}

  void open(StageContext& context) {
    clock_ = &context.node.clock();
    failures_.open(context);
    Base::open(context);
  }

  template <class R>
  void operator()(R&& record, Stamp stamp) {
    auto& entry = this->entry_of(std::as_const(record), [] { return ProcessState<typename P::State>{}; });
    EventTime time = beginning_of_time;
    if constexpr (is_timed<Stamp>) time = stamp;
    Context context{*this, entry, time};
    const auto run = [&] { process_(std::as_const(record), this->state(entry).state, context); };
    call(op_, run);
    context.done();
  }

  void watermark(EventTime time) {
    watermark_ = time;
    relay_.heard();
    fire();
  }
  void idle() {
    relay_.idle();
    if (!firing_) relay_.pass_on(watermark_, this->next_);
  }
  void flush() {
    Base::flush();
    if (!firing_) return;
    fire();
    this->next_.flush();
  }
  void finish() {
    finishing_ = true;
    if (!firing_) this->next_.finish();
  }
  auto blocked() -> bool { return firing_ || this->next_.blocked(); }
  auto deadline() -> Time { return firing_ ? never : std::min(timers_->first(), Base::deadline()); }
  void tick(Time now) {
    now_ = now;
    fire();
    if (Base::deadline() <= now) Base::tick(now);
  }

 private:
  class Context final : public ContextBase {
   public:
    Context(ProcessStage& stage, Entry& entry, EventTime time) : stage_(stage), entry_(entry), time_(time) {}

    auto key() const -> const Owned<K>& override { return entry_.key; }
    auto time() const -> EventTime override { return time_; }
    auto watermark() const -> EventTime override { return stage_.watermark_; }
    auto now() const -> Time override { return stage_.clock_->now(); }
    void emit(Out out) override {
      behind_ = true;
      if constexpr (is_timed<Stamp>) {
        const bool untimed = time_ == beginning_of_time;  // in a processing-time timer
        stage_.next_(std::move(out), untimed ? stage_.watermark_ : time_);
      } else {
        stage_.next_(std::move(out), Untimed{});
      }
      behind_ = false;
    }
    /// Whether what is being thrown comes from the stage behind.
    auto behind() const -> bool { return behind_; }
    void at(EventTime time) override {
      if constexpr (has_event_timers) {
        if (note(stage_.state(entry_).event_timers, time)) stage_.event_timers_->add(time, entry_.key);
      } else {
        static_cast<void>(time);
        throw std::logic_error("it asks for a timer and has no on_event_time(time, state, context)");
      }
    }
    void at(Time time) override {
      if constexpr (has_timers) {
        if (note(stage_.state(entry_).timers, time)) stage_.timers_->add(time, entry_.key);
      } else {
        static_cast<void>(time);
        throw std::logic_error("it asks for a timer and has no on_processing_time(time, state, context)");
      }
    }
    void cancel(EventTime time) override { std::erase(stage_.state(entry_).event_timers, time); }
    void cancel(Time time) override { std::erase(stage_.state(entry_).timers, time); }
    void forget() override { forget_ = true; }

    void done() {
      if (!forget_) return;
      const auto key = entry_.key;
      stage_.states_->erase(key, stage_.function_.hash(key));
    }

   private:
    template <class Which>
    static auto note(std::vector<Which>& all, Which time) -> bool {
      if (std::find(all.begin(), all.end(), time) != all.end()) return false;
      all.push_back(time);
      return true;
    }

    ProcessStage& stage_;
    Entry& entry_;
    EventTime time_;
    bool forget_ = false, behind_ = false;
  };

  // What is due, as far as the stage behind takes it; then the watermark, which came after it.
  void fire() {
    firing_ = true;
    if constexpr (has_event_timers) {
      while (event_timers_->due(watermark_)) {
        if (this->next_.blocked()) return;
        auto timer = event_timers_->take();
        fire_one(timer.key, timer.time, timer.time, &ProcessState<typename P::State>::event_timers);
      }
    }
    if constexpr (has_timers) {
      while (timers_->due(now_)) {
        if (this->next_.blocked()) return;
        auto timer = timers_->take();
        fire_one(timer.key, timer.time, beginning_of_time, &ProcessState<typename P::State>::timers);
      }
    }
    firing_ = false;
    if constexpr (is_timed<Stamp>) relay_.pass_on(watermark_, this->next_);
    if (finishing_) this->next_.finish();
  }

  template <class Which>
  void fire_one(const Owned<K>& key, Which time, EventTime stamp,
                std::vector<Which> ProcessState<typename P::State>::*pending) {
    Entry* entry = this->states_->find(key, this->function_.hash(key));
    if (entry == nullptr || std::erase(this->state(*entry).*pending, time) == 0) return;
    Context context{*this, *entry, stamp};
    const auto run = [&] {
      auto& state = this->state(*entry).state;
      if constexpr (std::same_as<Which, EventTime>) {
        process_.on_event_time(time, state, context);
      } else {
        process_.on_processing_time(time, state, context);
      }
    };
    try {
      call(op_, run);
    } catch (...) {
      if (context.behind()) throw;
      failed(key, time);
      return;
    }
    context.done();
  }

  // In a catch block.
  template <class Which>
  [[gnu::cold, gnu::noinline]] void failed(const Owned<K>& key, Which time) {
    constexpr bool in_event_time = std::same_as<Which, EventTime>;
    const auto at = EventTime{std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch())};
    // The clock of processing time says nothing to people.
    failures_.handle({key, at, !in_event_time}, [&] {
      return text_of_key(key) + ", " + (in_event_time ? timer_text(at) : "timer in processing time");
    });
  }

  plan::OperatorRef op_;
  P process_;
  Fresh<Timers<EventTime, K>> event_timers_;
  Fresh<Timers<Time, K>> timers_;
  Failures<FailedTimer<Owned<K>>> failures_;
  const Clock* clock_ = nullptr;
  EventTime watermark_ = beginning_of_time;
  WatermarkRelay relay_;
  Time now_ = Time::min();
  bool firing_ = false, finishing_ = false;
};

/// The operator before it is bound to the stage behind it.
template <class K, class T, class Stamp, class Function, class P>
struct Process {
  using Failed = Fails<FailedTimer<Owned<K>>>;

  plan::OperatorRef op;
  Function function;
  P process;

  template <class Next>
  auto bind(Next next) && -> ProcessStage<K, T, Stamp, Function, P, Next> {
    return {op, std::move(function), std::move(process), std::move(next)};
  }
};

}  // namespace operators
}  // namespace tensair
