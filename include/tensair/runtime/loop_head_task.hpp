#pragma once

#include <chrono>
#include <tensair/runtime/loop_termination.hpp>
#include <tensair/runtime/source_task.hpp>
#include <tensair/runtime/task_input.hpp>
#include <utility>
#include <vector>

// The head of a loop: the task where records of the input enter it, and where those that go round come back.
//
// What comes back never waits for room: a feedback edge that could be full would block the loop's last task, and that
// one in the end the head, which alone could empty it. So that edge is a queue without a bound, and what bounds the
// loop is that the head takes input only when nothing waits to go round: what is in a loop at one time is what the
// chunks of input in it have become. A body that makes many records of each, faster than they leave, needs the memory
// for them.
//
// Inside the loop records are timed with the wave that they were last sent in (see loop_termination.hpp).

namespace tensair::runtime {

/// One of the heads of a loop, and the operators fused behind it.
/// @tparam Stamp  of the input's records; it is dropped
template <class T, class Stamp, class Fused>
class LoopHeadTask final : public Task {
 public:
  LoopHeadTask(Node& node, std::string name, TaskInput<T, Stamp> input, TaskInput<T, EventTime> feedback,
               std::shared_ptr<LoopTermination> termination, Fused fused, int instance, int instances)
      : Task(std::move(name)),
        node_(node),
        input_(std::move(input)),
        feedback_(std::move(feedback)),
        termination_(std::move(termination)),
        markers_(feedback_.senders),
        fused_(std::move(fused)),
        instance_(instance),
        instances_(instances) {}

  TENSAIR_COLD void open() override {
    operators::StageContext context{node_, *this, instance_, instances_};
    fused_.open(context);
    input_.inlet.bind(*this);
    feedback_.inlet.bind(*this);
    termination_->bind(*this);
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
    if (fused_.blocked()) return Turn::wait();
    tick_if_due(node_, fused_);
    if (!input_.taken && !feedback_.taken && !take_feedback() && !input_.take()) {
      fused_.flush();
      return take_feedback() ? Turn::again() : between_records();
    }
    const auto pass = [this](auto&& record, auto) {
      ++records_;
      fused_(std::forward<decltype(record)>(record), stamp_of(wave_));
    };
    const bool through =
        feedback_.taken ? feedback_.template pass<false>(fused_, pass) : input_.template pass<false>(fused_, pass);
    return through ? Turn::again() : Turn::wait();
  }

  // Takes a chunk of feedback that has records, if there is one.
  auto take_feedback() -> bool {
    while (feedback_.take()) {
      markers_.update(feedback_.chunk().sender, feedback_.chunk().watermark, false);
      if (!feedback_.records().empty()) {
        quiet_ = false;
        return true;
      }
    }
    return false;
  }

  // Nothing is here to be sent into the loop. It may be elsewhere.
  auto between_records() -> Turn {
    if (!input_.inlet.ended()) return wait();
    if (termination_->ended()) {
      finished_ = true;
      fused_.watermark(end_of_time);
      fused_.finish();
      return Turn::again();
    }
    if (!reported_ && (wave_ == 0 || feedback_.senders == 0 || markers_.watermark() >= stamp_of(wave_))) {
      reported_ = true;
      termination_->report(wave_, wave_ > 0 && quiet_);
    }
    // What it says next wakes this task.
    const auto wave = termination_->wave();
    if (wave == wave_ || termination_->ended()) return wait();
    wave_ = wave;
    reported_ = false;
    quiet_ = true;
    fused_.watermark(stamp_of(wave));
    return Turn::again();
  }

  static auto stamp_of(std::uint64_t wave) -> EventTime {
    return EventTime{std::chrono::microseconds{static_cast<std::chrono::microseconds::rep>(wave)}};
  }

  // A stage that has records left is blocked: then it waits for its outlets, and not for a time.
  auto wait() -> Turn { return fused_.blocked() ? Turn::wait() : Turn::wait(fused_.deadline()); }

  Node& node_;
  TaskInput<T, Stamp> input_;
  TaskInput<T, EventTime> feedback_;
  std::shared_ptr<LoopTermination> termination_;
  InputWatermarks markers_;
  Fused fused_;
  int instance_, instances_;
  std::uint64_t records_ = 0, wave_ = 0;
  bool reported_ = false, quiet_ = false, finished_ = false;
};

}  // namespace tensair::runtime
