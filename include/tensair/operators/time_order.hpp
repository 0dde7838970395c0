#pragma once

#include <algorithm>
#include <cstdint>
#include <tensair/operators/owned.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/operators/watermark_relay.hpp>
#include <utility>
#include <vector>

namespace tensair::operators {

/// Passes records on in the order of their times, those of the same time in the order in which they came: each waits
/// until the watermark has passed it. `Late` is told of records that come after that.
template <class T, class Late, class Next>
class TimeOrderStage : public StageBase<Next> {
 public:
  TimeOrderStage(Late late, Next next) : StageBase<Next>(std::move(next)), late_(std::move(late)) {}

  void open(StageContext& context) {
    late_.open(context);
    this->next_.open(context);
  }

  template <class R>
  void operator()(R&& record, EventTime time) {
    if (time < watermark_) {
      late_.take(std::forward<R>(record), time);
      return;
    }
    waiting_->push_back({time, number_++, OwnedRecord<T>::own(T(std::forward<R>(record)))});
    std::push_heap(waiting_->begin(), waiting_->end(), later);
  }

  void watermark(EventTime time) {
    watermark_ = time;
    relay_.heard();
    advance();
  }
  void idle() {
    relay_.idle();
    if (!releasing_) relay_.pass_on(watermark_, late_, this->next_);
  }
  void flush() {
    late_.flush();
    this->next_.flush();
    if (!releasing_) return;
    advance();
    this->next_.flush();
  }
  void finish() {
    finishing_ = true;
    if (!releasing_) end();
  }
  auto blocked() -> bool {
    const bool late = late_.blocked();  // asked in any case: it may go on when it is
    return releasing_ || this->next_.blocked() || late;
  }
  auto deadline() -> Time { return std::min(this->next_.deadline(), late_.deadline()); }
  void tick(Time now) {
    if (late_.deadline() <= now) late_.tick(now);
    if (this->next_.deadline() <= now) this->next_.tick(now);
  }

 private:
  struct Waiting {
    EventTime time;
    std::uint64_t number;
    Owned<T> record;
  };
  static auto later(const Waiting& a, const Waiting& b) -> bool {
    return a.time != b.time ? b.time < a.time : b.number < a.number;
  }

  void advance() {
    releasing_ = true;
    while (!waiting_->empty() && waiting_->front().time < watermark_) {
      if (this->next_.blocked()) return;
      std::pop_heap(waiting_->begin(), waiting_->end(), later);
      auto first = std::move(waiting_->back());
      waiting_->pop_back();
      this->next_(OwnedRecord<T>::view(first.record), first.time);
    }
    releasing_ = false;
    relay_.pass_on(watermark_, late_, this->next_);
    if (finishing_) end();
  }
  void end() {
    this->next_.finish();
    late_.finish();
  }

  Late late_;
  Fresh<std::vector<Waiting>> waiting_;  // a heap, the earliest in front
  std::uint64_t number_ = 0;
  EventTime watermark_ = beginning_of_time;
  WatermarkRelay relay_;
  bool releasing_ = false, finishing_ = false;
};

}  // namespace tensair::operators
