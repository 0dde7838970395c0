#pragma once

#include <algorithm>
#include <tensair/runtime/input_watermarks.hpp>
#include <tensair/runtime/source_task.hpp>
#include <tensair/runtime/task_input.hpp>

namespace tensair::runtime {

/// A chain of operators that begins at a channel: takes chunks from its inlet and runs their records through the fused
/// stages.
template <class T, class Stamp, class Fused>
class QueueTask final : public Task {
 public:
  using Chunk = operators::Chunk<T, Stamp>;

  /// @param senders  how many outlets the inlet has
  TENSAIR_COLD QueueTask(Node& node, std::string name, Inlet<Chunk> inlet, std::size_t senders, Fused fused,
                         int instance = 0, int instances = 1)
      : Task(std::move(name)),
        node_(node),
        input_{std::move(inlet), senders},
        watermarks_(Input::timed ? senders : 0),
        fused_(std::move(fused)),
        instance_(instance),
        instances_(instances) {}

  TENSAIR_COLD void open() override {
    operators::StageContext context{node_, *this, instance_, instances_};
    fused_.open(context);
    input_.inlet.bind(*this);
  }

  auto run() -> Turn override {
    Turn turn = Turn::wait();
    with_record_number(node_, records_, [&] { turn = work(); });
    return turn;
  }

 private:
  using Input = TaskInput<T, Stamp>;

  auto work() -> Turn {
    if (fused_.blocked()) fused_.flush();
    if (finished_) return fused_.blocked() ? Turn::wait() : Turn::done();
    if (fused_.blocked()) return Turn::wait();
    tick_if_due(node_, fused_);
    if (!input_.taken && !input_.take()) {
      fused_.flush();
      if (!input_.inlet.ended()) return wait();
      finished_ = true;
      if constexpr (Input::timed) fused_.watermark(end_of_time);
      fused_.finish();
      return Turn::again();
    }
    if constexpr (Input::timed) {
      if (input_.next == 0) input_.pass_on_return(watermarks_, fused_);
    }
    const Time start = node_.clock().now();
    const auto pass = [this](auto&& record, auto stamp) {
      ++records_;
      fused_(std::forward<decltype(record)>(record), stamp);
    };
    // All of a chunk, unless it is a large one and this is slow.
    const bool through = input_.template pass<true>(fused_, pass, std::max(turn_.records(), operators::least_chunk));
    const Duration elapsed = node_.clock().now() - start;
    turn_.took(elapsed);
    // What slow stages have made does not wait for a chunk to be full.
    if (elapsed > TurnSize::turn_length) fused_.flush();
    if (!through) return fused_.blocked() ? Turn::wait() : Turn::again();
    if constexpr (Input::timed) input_.pass_on_watermark(watermarks_, fused_);
    return Turn::again();
  }

  // A stage that has records left is blocked: then it waits for its outlets, and not for a time.
  auto wait() -> Turn { return fused_.blocked() ? Turn::wait() : Turn::wait(fused_.deadline()); }

  Node& node_;
  Input input_;
  InputWatermarks watermarks_;
  Fused fused_;
  int instance_, instances_;
  std::uint64_t records_ = 0;
  TurnSize turn_;
  bool finished_ = false;
};

}  // namespace tensair::runtime
