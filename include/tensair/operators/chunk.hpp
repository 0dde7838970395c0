#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <tensair/operators/batch.hpp>
#include <tensair/operators/event_time.hpp>
#include <tensair/operators/owned.hpp>
#include <tensair/runtime/parcel_queue.hpp>
#include <utility>
#include <vector>

namespace tensair::operators {

/// Records that move together through a channel. Batches are big already and move alone.
template <class T>
inline constexpr std::size_t chunk_size = is_batch<T> ? 1 : 256;

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
/// cover the round trip and the turns of the threads between, as long as half a mebibyte has room for them.
template <class Item>
inline constexpr std::size_t chunk_credits_between_nodes = chunk_credits;
template <class T>
inline constexpr std::size_t chunk_credits_between_nodes<std::vector<T>> = std::clamp((std::size_t{512} << 10U) /
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
  void connect(runtime::detail::AnyOutlet outlet, runtime::Task& task, std::uint32_t number = 0) {
    queue_.connect(std::move(outlet), task);
    number_ = number;
  }

  template <class R>
  void push(R&& record, Stamp stamp) {
    if (!chunk_) make_room();
    if constexpr (is_timed<Stamp>) {
      auto& chunk = chunk_->item;
      keep(chunk.records, std::forward<R>(record));
      chunk.times.push_back(stamp);
      idle_ = false;
      if (chunk.records.size() >= chunk_size<T>) flush();
    } else {
      auto& chunk = chunk_->item;
      keep(chunk, std::forward<R>(record));
      if (chunk.size() >= chunk_size<T>) flush();
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
      chunk_->item.records.reserve(chunk_size<T>);
      chunk_->item.times.reserve(chunk_size<T>);
    } else {
      chunk_->item.reserve(chunk_size<T>);
    }
  }

  runtime::ParcelQueue queue_;
  runtime::Box<Item> chunk_;  // being filled; none before its first record
  std::uint32_t number_ = 0;
  EventTime watermark_ = beginning_of_time, sent_watermark_ = beginning_of_time;
  bool idle_ = false, sent_idle_ = false;
};

}  // namespace tensair::operators
