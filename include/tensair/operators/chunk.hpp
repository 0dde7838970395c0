#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <tensair/operators/batch.hpp>
#include <tensair/operators/event_time.hpp>
#include <tensair/operators/owned.hpp>
#include <tensair/runtime/parcel_queue.hpp>
#include <type_traits>
#include <utility>
#include <vector>

namespace tensair::operators {

/// The smallest chunk that is full, in records.
inline constexpr std::size_t least_chunk = 256;

/// Records that move together through a channel. Batches are big already and move alone. Of small records many: each
/// chunk costs wake-ups, a message, and its share of a credit. How big others are is not known: a text may be long.
/// (Nor are pairs and tuples trivially copyable in every standard library.)
template <class T>
inline constexpr std::size_t chunk_size = least_chunk;
template <class T>
requires is_batch<T>
inline constexpr std::size_t chunk_size<T> = 1;
template <class T>
requires(!is_batch<T> && std::is_trivially_copyable_v<T> &&
         !is_view<T>) inline constexpr std::size_t chunk_size<T> = std::clamp((std::size_t{64} << 10U) / sizeof(T),
                                                                              least_chunk, 4 * least_chunk);

/// Chunks a sender may have under way to one receiver on its node: two to overlap sending with work, the others so that
/// neither side waits for the other's turn.
inline constexpr std::size_t chunk_credits = 8;

/// Records with their times, and the watermark that holds after them.
template <class T>
struct TimedChunk {
  std::vector<T> records;
  std::vector<EventTime> times;
  EventTime watermark = beginning_of_time;
  std::uint32_t sender = 0;  ///< whose watermark this is: the sender's number among the receiver's
  bool idle = false;         ///< nothing has come since for a while

  /// Leaves nothing in it but memory.
  void clear() {
    records.clear();
    times.clear();
    watermark = beginning_of_time;
    sender = 0;
    idle = false;
  }

  static constexpr bool serializes_members = true;

  template <class Archive>
  requires net::Encodable<T>
  void serialize(Archive& archive, unsigned) { archive& records& times& watermark& sender& idle; }
};

/// What a channel of records of type T carries.
template <class T, class Stamp>
using Chunk = std::conditional_t<is_timed<Stamp>, TimedChunk<Owned<T>>, std::vector<Owned<T>>>;

/// Chunks of type `Item` that a sender may have under way to one receiver on another node: more than on its own, to
/// cover the round trip and the turns of the threads between, as long as two mebibytes have room for them.
template <class Item>
inline constexpr std::size_t chunk_credits_between_nodes = chunk_credits;
template <class T>
inline constexpr std::size_t chunk_credits_between_nodes<std::vector<T>> = std::clamp((std::size_t{2} << 20U) /
                                                                                          (chunk_size<T> * sizeof(T)),
                                                                                      chunk_credits, 4 * chunk_credits);
template <class T>
inline constexpr std::size_t chunk_credits_between_nodes<TimedChunk<T>> = chunk_credits_between_nodes<std::vector<T>>;

/// Collects records into chunks and sends them through one outlet, in order, as credits allow.
///
/// A watermark goes with the chunk being filled, so it arrives after records that came behind it: later than it might,
/// which is always right. If no chunk is sent until the end of the turn, it goes alone.
template <class T, class Stamp = Untimed>
class ChunkSender {
 public:
  using Item = Chunk<T, Stamp>;

  /// @param outlet  made for items of this type
  /// @param number  this sender's among those of the outlet's inlet
  /// @param receivers  to which the task's records go: of many each gets smaller chunks, so that what is under way does
  ///                   not grow with their number
  void connect(runtime::detail::AnyOutlet outlet, runtime::Task& task, std::uint32_t number = 0,
               std::size_t receivers = 1) {
    queue_.connect(std::move(outlet), task);
    number_ = number;
    full_ = std::max(chunk_size<T> * 4 / std::max(receivers, std::size_t{4}), std::min(chunk_size<T>, least_chunk));
  }

  template <class R>
  void push(R&& record, Stamp stamp) {
    if (!chunk_) make_room();
    if constexpr (is_timed<Stamp>) {
      auto& chunk = chunk_->item;
      keep(chunk.records, std::forward<R>(record));
      chunk.times.push_back(stamp);
      if (chunk.records.size() >= full_) flush();
    } else {
      auto& chunk = chunk_->item;
      keep(chunk, std::forward<R>(record));
      if (chunk.size() >= full_) flush();
    }
  }

  void push(T record) requires(!is_timed<Stamp>) { push(std::move(record), Stamp{}); }

  void watermark(EventTime time) {
    watermark_ = time;
    idle_ = false;
  }
  void idle() { idle_ = true; }

  void flush() {
    if constexpr (is_timed<Stamp>) {
      if (chunk_ || watermark_ != sent_watermark_ || idle_ != sent_idle_) {
        if (!chunk_) chunk_ = empty_chunk();
        auto& chunk = chunk_->item;
        chunk.watermark = sent_watermark_ = watermark_;
        chunk.idle = sent_idle_ = idle_;
        chunk.sender = number_;
        queue_.push(std::move(chunk_));
      }
    } else {
      if (chunk_) queue_.push(std::move(chunk_));
    }
    queue_.send();
  }

  void finish() {
    flush();
    queue_.finish();
  }

  auto blocked() const -> bool { return queue_.blocked(); }

 private:
  // A record that is kept as it is goes straight to its place: a copy between would be half the work.
  template <class R>
  static void keep(std::vector<Owned<T>>& records, R&& record) {
    if constexpr (is_view<T>) {
      records.push_back(OwnedRecord<T>::own(std::forward<R>(record)));
    } else {
      records.emplace_back(std::forward<R>(record));
    }
  }

  // With the memory of one that has been worked through, if there is one.
  auto empty_chunk() -> runtime::Box<Item> {
    auto used = runtime::detail::unpack<Item>(queue_.spare());
    return used ? std::move(used) : std::make_unique<runtime::Boxed<Item>>();
  }
  // Before a chunk's first record.
  TENSAIR_COLD void make_room() {
    chunk_ = empty_chunk();
    if constexpr (is_timed<Stamp>) {
      chunk_->item.records.reserve(full_);
      chunk_->item.times.reserve(full_);
    } else {
      chunk_->item.reserve(full_);
    }
  }

  runtime::ParcelQueue queue_;
  runtime::Box<Item> chunk_;  // being filled; none before its first record
  std::size_t full_ = chunk_size<T>;
  std::uint32_t number_ = 0;
  EventTime watermark_ = beginning_of_time, sent_watermark_ = beginning_of_time;
  bool idle_ = false, sent_idle_ = false;
};

}  // namespace tensair::operators
