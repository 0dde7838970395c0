#pragma once

#include <memory>
#include <span>
#include <tensair/error.hpp>
#include <tensair/operators/stage.hpp>
#include <vector>

// A stream that is used by name (`auto s = …; s.map(…); s.filter(…);`) may be used again, which its type cannot know.
// So its chain ends in a fork: records are handed over in small chunks to every use, in the same task, through one
// virtual call a chunk.

namespace tensair::operators {

/// One use of a forked stream.
template <class T>
class ForkUse {
 public:
  virtual ~ForkUse() = default;
  virtual void open(StageContext& context) = 0;
  /// Takes records from the front until it is blocked; returns how many.
  virtual auto push(std::span<T> records) -> std::size_t = 0;
  virtual void flush() = 0;
  virtual void finish() = 0;
  virtual auto blocked() -> bool = 0;
};

/// The uses of one stream, filled while the graph is written and run by the task the stream belongs to.
template <class T>
struct ForkPoint {
  std::vector<std::unique_ptr<ForkUse<T>>> uses;
};

template <class T, class Fused>
class FusedForkUse final : public ForkUse<T> {
 public:
  explicit FusedForkUse(Fused fused) : fused_(std::move(fused)) {}
  void open(StageContext& context) override { fused_.open(context); }
  auto push(std::span<T> records) -> std::size_t override {
    std::size_t taken = 0;
    while (taken < records.size() && !fused_.blocked()) fused_(std::move(records[taken++]));
    return taken;
  }
  void flush() override { fused_.flush(); }
  void finish() override { fused_.finish(); }
  auto blocked() -> bool override { return fused_.blocked(); }

 private:
  Fused fused_;
};

/// The stage that ends a forked stream's chain.
template <class T>
class ForkStage {
 public:
  explicit ForkStage(std::shared_ptr<ForkPoint<T>> point) : point_(std::move(point)) {}

  void open(StageContext& context) {
    if constexpr (!std::copy_constructible<T>) {
      if (point_->uses.size() > 1)
        throw UsageError("a stream of records that cannot be copied is used more than once", stream_type<T>());
    }
    copies_.resize(point_->uses.empty() ? 0 : point_->uses.size() - 1);
    for (auto& use : point_->uses) use->open(context);
  }

  void operator()(T record) {
    for (auto& copy : copies_) {
      if constexpr (std::copy_constructible<T>) copy.records.push_back(record);
    }
    last_.records.push_back(std::move(record));
    if (last_.records.size() >= chunk) deliver();
  }

  void flush() {
    deliver();
    for (auto& use : point_->uses) use->flush();
  }

  void finish() {
    deliver();
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
    return finishing_ || last_.records.size() >= chunk || copies_full();
  }

 private:
  // Small records wait for a few others; big ones (batches, strings) are worth a call each.
  static constexpr std::size_t chunk = std::is_trivially_copyable_v<T> && sizeof(T) <= 64 ? 256 : 1;

  struct Pending {
    std::vector<T> records;
  };

  auto copies_full() const -> bool {
    for (const auto& copy : copies_) {
      if (copy.records.size() >= chunk) return true;
    }
    return false;
  }

  void deliver() {
    for (std::size_t i = 0; i < point_->uses.size(); ++i) {
      auto& records = (i < copies_.size() ? copies_[i] : last_).records;
      if (records.empty()) continue;
      const auto taken = point_->uses[i]->push(records);
      records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(taken));
    }
  }

  void finish_when_delivered() {
    deliver();
    if (!last_.records.empty()) return;
    for (const auto& copy : copies_) {
      if (!copy.records.empty()) return;
    }
    finished_ = true;
    for (auto& use : point_->uses) use->finish();
  }

  std::shared_ptr<ForkPoint<T>> point_;
  std::vector<Pending> copies_;  // for every use but the last
  Pending last_;
  bool finishing_ = false, finished_ = false;
};

}  // namespace tensair::operators
