#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <tensair/error.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/runtime/source.hpp>
#include <type_traits>

namespace tensair::runtime {

/// How many records a task handles before it gives its thread back: as many as take about `turn_length`, so that chunks
/// which are not full yet do not wait longer than that, however slow the records are.
class TurnSize {
 public:
  static constexpr Duration turn_length = std::chrono::milliseconds{1};
  static constexpr std::size_t most = 4096;

  auto records() const -> std::size_t { return records_; }
  void took(Duration elapsed) {
    if (elapsed > turn_length) {
      records_ = std::max<std::size_t>(1, records_ / 2);
    } else if (elapsed < turn_length / 4) {
      records_ = std::min(most, records_ * 2);
    }
  }

 private:
  std::size_t records_ = 1;  // a slow source's first records do not wait for each other
};

/// Runs `body`, and gives what a user's lambda threw in it the node and the number of the record.
template <class Body>
void with_record_number(const Node& node, const std::uint64_t& record, Body&& body) {
  try {
    body();
  } catch (const operators::LambdaThrew& threw) {
    throw UserError(threw.operator_title(), node.rank(), record, threw.what(), threw.place());
  }
}

/// Calls `tick` on stages whose deadline has come. Asks for the time only when there is one.
template <class Fused>
void tick_if_due(const Node& node, Fused& fused) {
  if (fused.deadline() == never) return;
  const Time now = node.clock().now();
  if (fused.deadline() <= now) fused.tick(now);
}

/// An object to work with for a turn: a copy on the stack, put back afterwards, where that is cheap. Nothing else can
/// refer to it, so the compiler may keep it in registers whatever a user's function writes to: a sum behind a few maps
/// is added up twice as fast.
template <class T>
struct OnStack {
  explicit OnStack(T& home) : object(home), home_(home) {}
  OnStack(const OnStack&) = delete;
  auto operator=(const OnStack&) -> OnStack& = delete;
  ~OnStack() { std::construct_at(&home_, object); }  // a lambda can be copied, not assigned

  T object;

 private:
  T& home_;
};
template <class T>
struct InPlace {
  T& object;
};
template <class T>
inline constexpr bool on_stack = std::is_trivially_copyable_v<T>&& std::is_copy_constructible_v<T> && sizeof(T) <= 256;
template <class T>
using Working = std::conditional_t<on_stack<T>, OnStack<T>, InPlace<T>>;

/// A source and everything fused behind it: the loop of the pipeline.
template <class S, class Fused>
class SourceTask final : public Task {
 public:
  TENSAIR_COLD SourceTask(Node& node, plan::OperatorRef op, S source, Fused fused, int instance = 0, int instances = 1)
      : Task(op->title()),
        node_(node),
        op_(op),
        source_(std::move(source)),
        fused_(std::move(fused)),
        instance_(instance),
        instances_(instances) {}

  TENSAIR_COLD void open() override {
    operators::StageContext context{node_, *this, instance_, instances_};
    if constexpr (requires { source_.open(node_, waker()); }) {
      source_.open(node_, waker());
    } else if constexpr (requires { source_.open(node_); }) {
      source_.open(node_);
    }
    fused_.open(context);
  }

  auto occupies_thread() const -> bool override {
    if constexpr (requires { S::occupies_thread; }) return S::occupies_thread;
    return false;
  }

  auto run() -> Turn override {
    Turn turn = Turn::wait();
    with_record_number(node_, records_, [&] { turn = work(); });
    return turn;
  }

 private:
  auto work() -> Turn {
    if (fused_.blocked()) fused_.flush();
    if (finished_) return fused_.blocked() ? Turn::wait() : Turn::done();
    const Time start = node_.clock().now();
    if (fused_.deadline() <= start && !fused_.blocked()) fused_.tick(start);
    finished_ = node_.draining();
    const Turn turn = finished_ ? Turn::again() : emit(turn_.records());
    if (finished_) {
      fused_.finish();
      return Turn::again();
    }
    fused_.flush();
    // A stage that has records left is blocked: then it waits for its outlets, and not for a time.
    if (turn.state == Turn::State::wait)
      return Turn::wait(fused_.blocked() ? turn.deadline : std::min(turn.deadline, fused_.deadline()));
    turn_.took(node_.clock().now() - start);
    return Turn::again();
  }

  // Emits `n` records, or waits if it is blocked before or has none yet.
  auto emit(std::size_t n) -> Turn {
    Working<S> source{source_};
    Working<Fused> fused{fused_};
    Working<std::uint64_t> records{records_};
    return emit(n, source.object, fused.object, records.object);
  }

  auto emit(std::size_t n, S& source, Fused& fused, std::uint64_t& records) -> Turn {
    const auto next = [&source] {
      if constexpr (PollingSource<S>) {
        return source.poll();
      } else {
        return source.next();
      }
    };
    // What ends the turn before it has emitted all, if anything does.
    const auto emit_one = [&]() -> std::optional<Turn> {
      if (fused.blocked()) {
        fused.flush();
        if (fused.blocked()) return Turn::wait();
      }
      ++records;  // before, so that a source that throws is at the record it could not give
      auto record = operators::call(op_, next);
      if constexpr (PollingSource<S>) {
        if (!record.has_record()) {
          --records;
          finished_ = record.ended();
          return Turn::wait(record.until());
        }
        fused(std::move(record.record()), operators::Untimed{});
      } else {
        if (!record) {
          --records;
          finished_ = true;
          return Turn::wait();
        }
        fused(std::move(*record), operators::Untimed{});
      }
      return std::nullopt;
    };
    if constexpr (on_stack<S> && on_stack<Fused>) {
      // Where a record takes some cycles, counting it would be a third of them.
      for (; n >= 4; n -= 4) {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 4
#endif
        for (int i = 0; i < 4; ++i) {
          if (const auto turn = emit_one()) return *turn;
        }
      }
    }
    for (; n > 0; --n) {
      if (const auto turn = emit_one()) return *turn;
    }
    return Turn::again();
  }

  Node& node_;
  plan::OperatorRef op_;
  S source_;
  Fused fused_;
  int instance_, instances_;
  std::uint64_t records_ = 0;
  TurnSize turn_;
  bool finished_ = false;
};

}  // namespace tensair::runtime
