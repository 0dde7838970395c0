#pragma once

#include <tensair/operators/chunk.hpp>
#include <tensair/runtime/input_watermarks.hpp>
#include <tensair/runtime/source_task.hpp>

namespace tensair::runtime {

/// A chain of operators that begins at a channel: takes chunks from its inlet and runs their records through the fused
/// stages.
template <class T, class Stamp, class Fused>
class QueueTask final : public Task {
 public:
  using Chunk = operators::Chunk<T, Stamp>;

  /// @param senders  how many outlets the inlet has
  QueueTask(Node& node, std::string name, std::shared_ptr<Inlet<Chunk>> inlet, std::size_t senders, Fused fused,
            int instance = 0, int instances = 1)
      : Task(std::move(name)),
        node_(node),
        inlet_(std::move(inlet)),
        watermarks_(operators::is_timed<Stamp> ? senders : 0),
        fused_(std::move(fused)),
        instance_(instance),
        instances_(instances) {}

  void open() {
    operators::StageContext context{node_, *this, instance_, instances_};
    fused_.open(context);
    inlet_->bind(*this);
  }

  auto run() -> Turn override {
    Turn turn = Turn::wait();
    with_record_number(node_, records_, [&] { turn = work(); });
    return turn;
  }

 private:
  static constexpr bool timed = operators::is_timed<Stamp>;

  auto work() -> Turn {
    if (fused_.blocked()) fused_.flush();
    if (finished_) return fused_.blocked() ? Turn::wait() : Turn::done();
    if (fused_.blocked()) return Turn::wait();
    tick_if_due(node_, fused_);
    if (next_ == records().size()) {
      auto chunk = inlet_->take();
      if (!chunk) {
        fused_.flush();
        if (!inlet_->ended()) return wait();
        finished_ = true;
        if constexpr (timed) fused_.watermark(end_of_time);
        fused_.finish();
        return Turn::again();
      }
      chunk_ = std::move(*chunk);
      next_ = 0;
      if constexpr (timed) {
        if (chunk_.times.size() != chunk_.records.size() || chunk_.sender >= watermarks_.size())
          throw net::Malformed("a chunk of records with other times, or of a sender that is not there");
      }
    }
    while (next_ < records().size()) {
      if (fused_.blocked()) {
        fused_.flush();
        if (fused_.blocked()) return Turn::wait();
      }
      ++records_;
      const std::size_t i = next_++;
      if constexpr (timed) {
        fused_(view_of<T>(records(), i), chunk_.times[i]);
      } else {
        fused_(view_of<T>(records(), i), operators::Untimed{});
      }
    }
    if constexpr (timed) pass_on_watermark();
    return Turn::again();
  }

  auto records() -> std::vector<Owned<T>>& {
    if constexpr (timed) {
      return chunk_.records;
    } else {
      return chunk_;
    }
  }

  void pass_on_watermark() {
    const auto before = watermarks_.watermark();
    const bool idle_before = watermarks_.idle();
    watermarks_.update(chunk_.sender, chunk_.watermark, chunk_.idle);
    // The end is announced when the inlet has ended.
    if (watermarks_.watermark() != before && watermarks_.watermark() != end_of_time)
      fused_.watermark(watermarks_.watermark());
    if (watermarks_.idle() && !idle_before) fused_.idle();
  }

  // A stage that has records left is blocked: then it waits for its outlets, and not for a time.
  auto wait() -> Turn { return fused_.blocked() ? Turn::wait() : Turn::wait(fused_.deadline()); }

  Node& node_;
  std::shared_ptr<Inlet<Chunk>> inlet_;
  InputWatermarks watermarks_;
  Fused fused_;
  int instance_, instances_;
  Chunk chunk_;
  std::size_t next_ = 0;
  std::uint64_t records_ = 0;
  bool finished_ = false;
};

}  // namespace tensair::runtime
