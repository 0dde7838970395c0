#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <tensair/operators/instances.hpp>
#include <tensair/operators/owned.hpp>
#include <tensair/operators/stage.hpp>
#include <vector>

// A stream that is used by name (`auto s = …; s.map(…); s.filter(…);`) may be used again, which its type cannot know.
// So its chain ends in a fork: records are handed over in small chunks to every use, in the same task, through one
// virtual call a chunk.

namespace tensair::operators {

/// One use of a forked stream.
template <class T, class Stamp>
class ForkUse {
 public:
  virtual ~ForkUse() = default;
  /// The same use for another instance of the task.
  virtual auto clone() const -> std::unique_ptr<ForkUse> = 0;
  virtual void open(StageContext& context) = 0;
  /// Takes records from the front until it is blocked; returns how many.
  virtual auto push(std::vector<Owned<T>>& records, std::span<const Stamp> stamps) -> std::size_t = 0;
  virtual void watermark(EventTime time) = 0;
  virtual void idle() = 0;
  virtual void flush() = 0;
  virtual void finish() = 0;
  virtual auto blocked() -> bool = 0;
  virtual auto deadline() -> Time = 0;
  virtual void tick(Time now) = 0;
};

/// The uses of one stream, filled while the graph is written and run by the task the stream belongs to.
template <class T, class Stamp>
struct ForkPoint {
  std::vector<std::unique_ptr<ForkUse<T, Stamp>>> uses;
};

template <class T, class Stamp, class Fused>
class FusedForkUse final : public ForkUse<T, Stamp> {
 public:
  explicit FusedForkUse(Fused fused) : fused_(std::move(fused)) {}
  auto clone() const -> std::unique_ptr<ForkUse<T, Stamp>> override {
    if constexpr (std::copy_constructible<Fused>) {
      return std::make_unique<FusedForkUse>(*this);
    } else {
      throw not_copyable("a use of a " + stream_type<T>());
    }
  }
  void open(StageContext& context) override { fused_.open(context); }
  auto push(std::vector<Owned<T>>& records, std::span<const Stamp> stamps) -> std::size_t override {
    std::size_t taken = 0;
    while (taken < records.size() && !fused_.blocked()) {
      if constexpr (is_timed<Stamp>) {
        fused_(view_of<T>(records, taken), stamps[taken]);
      } else {
        fused_(view_of<T>(records, taken), Untimed{});
      }
      ++taken;
    }
    return taken;
  }
  void watermark(EventTime time) override { fused_.watermark(time); }
  void idle() override { fused_.idle(); }
  void flush() override { fused_.flush(); }
  void finish() override { fused_.finish(); }
  auto blocked() -> bool override { return fused_.blocked(); }
  auto deadline() -> Time override { return fused_.deadline(); }
  void tick(Time now) override { fused_.tick(now); }

 private:
  Fused fused_;
};

/// The stage that ends a forked stream's chain.
template <class T, class Stamp = Untimed>
class ForkStage {
 public:
  explicit ForkStage(std::shared_ptr<ForkPoint<T, Stamp>> point) : point_(std::move(point)) {}
  ForkStage(ForkStage&&) noexcept = default;
  auto operator=(ForkStage&&) noexcept -> ForkStage& = default;
  ~ForkStage() = default;
  /// Another instance: with uses of its own.
  ForkStage(const ForkStage& other) : point_(std::make_shared<ForkPoint<T, Stamp>>()) {
    for (const auto& use : other.point_->uses) point_->uses.push_back(use->clone());
  }
  auto operator=(const ForkStage&) -> ForkStage& = delete;

  void open(StageContext& context) {
    if constexpr (!std::copy_constructible<Owned<T>>) {
      if (point_->uses.size() > 1)
        throw UsageError("a stream of records that cannot be copied is used more than once", stream_type<T>());
    }
    pending_.resize(point_->uses.size());
    for (auto& use : point_->uses) use->open(context);
  }

  void operator()(T record, Stamp stamp) {
    if (pending_.empty()) return;
    for (std::size_t i = 0; i + 1 < pending_.size(); ++i) {
      if constexpr (std::copy_constructible<Owned<T>>) pending_[i].push(OwnedRecord<T>::own(record), stamp);
    }
    pending_.back().push(OwnedRecord<T>::own(std::move(record)), stamp);
    if (pending_.back().records.size() >= chunk) deliver();
  }

  // A watermark waits for the records before it, and records that come meanwhile pass it: it arrives later than it
  // might, which is always right.
  void watermark(EventTime time) {
    watermark_ = time;
    idle_ = false;
  }
  void idle() { idle_ = true; }

  void flush() {
    deliver();
    for (auto& use : point_->uses) use->flush();
  }

  void finish() {
    finishing_ = true;
    finish_when_delivered();
  }

  auto blocked() -> bool {
    if (finishing_ && !finished_) finish_when_delivered();
    if (finished_) {
      for (auto& use : point_->uses) {
        if (use->blocked()) return true;
      }
      return false;
    }
    if (finishing_) return true;
    for (const auto& one : pending_) {
      if (one.records.size() >= chunk) return true;
    }
    return false;
  }

  auto deadline() -> Time {
    Time first = never;
    for (auto& use : point_->uses) first = std::min(first, use->deadline());
    return first;
  }
  void tick(Time now) {
    for (auto& use : point_->uses) {
      if (use->deadline() <= now) use->tick(now);
    }
  }

 private:
  // Small records wait for a few others; big ones (batches, strings) are worth a call each.
  static constexpr std::size_t chunk = std::is_trivially_copyable_v<T> && !is_view<T> && sizeof(T) <= 64 ? 256 : 1;

  struct Pending {
    std::vector<Owned<T>> records;
    std::vector<Stamp> stamps;  // of timed records
    EventTime watermark = beginning_of_time;
    bool idle = false;

    void push(Owned<T> record, Stamp stamp) {
      records.push_back(std::move(record));
      if constexpr (is_timed<Stamp>) stamps.push_back(stamp);
    }
  };

  void deliver() {
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      auto& pending = pending_[i];
      auto& use = *point_->uses[i];
      if (pending.idle && !idle_) {  // it is back, and this counts before its records do
        pending.idle = false;
        use.watermark(pending.watermark);
      }
      if (!pending.records.empty()) {
        const auto taken =
            static_cast<std::ptrdiff_t>(use.push(pending.records, std::span<const Stamp>(pending.stamps)));
        pending.records.erase(pending.records.begin(), pending.records.begin() + taken);
        if constexpr (is_timed<Stamp>) pending.stamps.erase(pending.stamps.begin(), pending.stamps.begin() + taken);
      }
      if constexpr (is_timed<Stamp>) {
        if (!pending.records.empty()) continue;
        if (pending.watermark != watermark_) use.watermark(watermark_);
        if (idle_ && !pending.idle) use.idle();
        pending.watermark = watermark_;
        pending.idle = idle_;
      }
    }
  }

  void finish_when_delivered() {
    deliver();
    for (const auto& one : pending_) {
      if (!one.records.empty()) return;
    }
    finished_ = true;
    for (auto& use : point_->uses) use->finish();
  }

  std::shared_ptr<ForkPoint<T, Stamp>> point_;
  std::vector<Pending> pending_;  // by use
  EventTime watermark_ = beginning_of_time;
  bool idle_ = false;
  bool finishing_ = false, finished_ = false;
};

}  // namespace tensair::operators
