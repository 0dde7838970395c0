#pragma once

#include <tensair/runtime/channel.hpp>
#include <tensair/runtime/source_task.hpp>

namespace tensair::runtime {

/// A chain of operators that begins at a channel: takes chunks from its inlet and runs their records through the fused
/// stages.
template <class T, class Fused>
class QueueTask final : public Task {
 public:
  using Chunk = std::vector<T>;

  QueueTask(Node& node, std::string name, std::shared_ptr<Inlet<Chunk>> inlet, Fused fused)
      : Task(std::move(name)), node_(node), inlet_(std::move(inlet)), fused_(std::move(fused)) {}

  void open() {
    operators::StageContext context{node_, *this};
    fused_.open(context);
    inlet_->bind(*this);
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
    if (next_ == chunk_.size()) {
      auto chunk = inlet_->take();
      if (!chunk) {
        fused_.flush();
        if (!inlet_->ended()) return Turn::wait();
        finished_ = true;
        fused_.finish();
        return Turn::again();
      }
      chunk_ = std::move(*chunk);
      next_ = 0;
    }
    while (next_ < chunk_.size()) {
      if (fused_.blocked()) {
        fused_.flush();
        if (fused_.blocked()) return Turn::wait();
      }
      ++records_;
      fused_(std::move(chunk_[next_++]));
    }
    return Turn::again();
  }

  Node& node_;
  std::shared_ptr<Inlet<Chunk>> inlet_;
  Fused fused_;
  Chunk chunk_;
  std::size_t next_ = 0;
  std::uint64_t records_ = 0;
  bool finished_ = false;
};

}  // namespace tensair::runtime
