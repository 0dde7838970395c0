#pragma once

#include <tensair/runtime/input_watermarks.hpp>
#include <tensair/runtime/source_task.hpp>
#include <tensair/runtime/task_input.hpp>

// A task with two inlets, of records of different types. It takes from both in turn and never waits for one of them
// while the other has something: so a stream that comes in on both sides (a diamond) cannot block itself, however far
// one side is behind. What the faster side brings meanwhile is the stages' to keep.

namespace tensair::runtime {

/// A chain of operators that begins with one of two inputs. Its first stage is called with `left(record, stamp)` and
/// `right(record, stamp)`, and with `expect_left(records)` or `expect_right(records)`, if it has them, when a chunk has
/// come whose records will follow.
///
/// The watermark is the least of all senders of both inputs; if the stage says `watermark_of_left`, of the left ones.
template <class Left, class Right, class Fused>
class TwoInputTask final : public Task {
 public:
  TENSAIR_COLD TwoInputTask(Node& node, std::string name, Left left, Right right, Fused fused, int instance,
                            int instances)
      : Task(std::move(name)),
        node_(node),
        left_(std::move(left)),
        right_(std::move(right)),
        watermarks_((left_counts ? left_.senders : 0) + (right_counts ? right_.senders : 0)),
        fused_(std::move(fused)),
        instance_(instance),
        instances_(instances) {}

  TENSAIR_COLD void open() override {
    operators::StageContext context{node_, *this, instance_, instances_};
    fused_.open(context);
    left_.inlet.bind(*this);
    right_.inlet.bind(*this);
  }

  auto run() -> Turn override {
    Turn turn = Turn::wait();
    with_record_number(node_, records_, [&] { turn = work(); });
    return turn;
  }

 private:
  static constexpr bool left_counts = Left::timed;
  static constexpr bool right_counts = Right::timed && !Fused::watermark_of_left;

  auto work() -> Turn {
    if (fused_.blocked()) fused_.flush();
    if (finished_) return fused_.blocked() ? Turn::wait() : Turn::done();
    if (fused_.blocked()) return Turn::wait();
    tick_if_due(node_, fused_);
    if (!left_.taken && !right_.taken && !take()) {
      fused_.flush();
      if (!left_.inlet.ended() || !right_.inlet.ended()) return wait();
      finished_ = true;
      if constexpr (left_counts || right_counts) fused_.watermark(end_of_time);
      fused_.finish();
      return Turn::again();
    }
    const bool through = left_.taken ? pass<true>(left_) : pass<false>(right_);
    return through ? Turn::again() : Turn::wait();
  }

  auto take() -> bool {
    left_is_next_ = !left_is_next_;
    return left_is_next_ ? take_left() || take_right() : take_right() || take_left();
  }
  auto take_left() -> bool {
    if (!left_.take()) return false;
    if constexpr (requires { fused_.expect_left(left_.records()); }) fused_.expect_left(left_.records());
    return true;
  }
  auto take_right() -> bool {
    if (!right_.take()) return false;
    if constexpr (requires { fused_.expect_right(right_.records()); }) fused_.expect_right(right_.records());
    return true;
  }

  // Passes the input's chunk on as far as the stages take it; returns whether that was all.
  template <bool is_left, class Input>
  auto pass(Input& input) -> bool {
    constexpr bool counts = is_left ? left_counts : right_counts;
    const std::size_t first = counts && !is_left && left_counts ? left_.senders : 0;
    if constexpr (counts) {
      if (input.next == 0) input.pass_on_return(watermarks_, fused_, first);
    }
    const bool through = input.template pass<false>(fused_, [this](auto&& record, auto stamp) {
      ++records_;
      if constexpr (is_left) {
        fused_.left(std::forward<decltype(record)>(record), stamp);
      } else {
        fused_.right(std::forward<decltype(record)>(record), stamp);
      }
    });
    if constexpr (counts) {
      if (through) input.pass_on_watermark(watermarks_, fused_, first);
    }
    return through;
  }

  // A stage that has records left is blocked: then it waits for its outlets, and not for a time.
  auto wait() -> Turn { return fused_.blocked() ? Turn::wait() : Turn::wait(fused_.deadline()); }

  Node& node_;
  Left left_;
  Right right_;
  InputWatermarks watermarks_;
  Fused fused_;
  int instance_, instances_;
  std::uint64_t records_ = 0;
  bool left_is_next_ = false, finished_ = false;
};

}  // namespace tensair::runtime
