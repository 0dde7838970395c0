#pragma once

#include <cstdint>
#include <optional>
#include <tensair/operators/batch.hpp>
#include <tensair/operators/event_time.hpp>
#include <tensair/operators/owned.hpp>
#include <tensair/runtime/channel.hpp>
#include <utility>
#include <vector>

namespace tensair::operators {

/// Records that move together through a channel. Batches are big already and move alone.
template <class T>
inline constexpr std::size_t chunk_size = is_batch<T> ? 1 : 256;

/// Chunks a sender may have under way to one receiver: two to overlap sending with work, the others to cover a round
/// trip.
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

  auto capacity() const -> std::size_t { return records.capacity(); }

  static constexpr bool serializes_members = true;

  template <class Archive>
  requires net::Encodable<T>
  void serialize(Archive& archive, unsigned) { archive& records& times& watermark& sender& idle; }
};

/// What a channel of records of type T carries.
template <class T, class Stamp>
using Chunk = std::conditional_t<is_timed<Stamp>, TimedChunk<Owned<T>>, std::vector<Owned<T>>>;

/// Collects records into chunks and sends them through one outlet, in order, as credits allow.
///
/// A watermark goes with the chunk being filled, so it arrives after records that came behind it: later than it might,
/// which is always right. If no chunk is sent until the end of the turn, it goes alone.
template <class T, class Stamp = Untimed>
class ChunkSender {
 public:
  /// @param number  this sender's among those of the outlet's inlet
  TENSAIR_COLD void connect(runtime::Outlet<Chunk<T, Stamp>> outlet, runtime::Task& task, std::uint32_t number = 0) {
    outlet_.emplace(std::move(outlet));
    outlet_->bind(task);
    number_ = number;
  }

  void push(T record, Stamp stamp) {
    if constexpr (is_timed<Stamp>) {
      if (chunk_.records.empty()) make_room();
      chunk_.records.push_back(OwnedRecord<T>::own(std::move(record)));
      chunk_.times.push_back(stamp);
      idle_ = false;
      if (chunk_.records.size() >= chunk_size<T>) flush();
    } else {
      if (chunk_.empty()) make_room();
      chunk_.push_back(OwnedRecord<T>::own(std::move(record)));
      if (chunk_.size() >= chunk_size<T>) flush();
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
      if (!chunk_.records.empty() || watermark_ != sent_watermark_ || idle_ != sent_idle_) {
        chunk_.watermark = sent_watermark_ = watermark_;
        chunk_.idle = sent_idle_ = idle_;
        chunk_.sender = number_;
        waiting_.push_back(std::exchange(chunk_, {}));
      }
    } else {
      if (!chunk_.empty()) waiting_.push_back(std::exchange(chunk_, {}));
    }
    while (!waiting_.empty() && outlet_->credits() > 0) {
      outlet_->put(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    if (finishing_ && !ended_ && waiting_.empty()) {
      ended_ = true;
      outlet_->end();
    }
  }

  void finish() {
    finishing_ = true;
    flush();
  }

  auto blocked() const -> bool { return !waiting_.empty() || (finishing_ && !ended_); }

 private:
  // Before a chunk's first record.
  TENSAIR_COLD void make_room() {
    if constexpr (is_timed<Stamp>) {
      if (chunk_.records.capacity() < chunk_size<T>) chunk_ = outlet_->spare();
      chunk_.records.reserve(chunk_size<T>);
      chunk_.times.reserve(chunk_size<T>);
    } else {
      if (chunk_.capacity() < chunk_size<T>) chunk_ = outlet_->spare();
      chunk_.reserve(chunk_size<T>);
    }
  }

  std::optional<runtime::Outlet<Chunk<T, Stamp>>> outlet_;
  Chunk<T, Stamp> chunk_;
  runtime::Ring<Chunk<T, Stamp>> waiting_;
  std::uint32_t number_ = 0;
  EventTime watermark_ = beginning_of_time, sent_watermark_ = beginning_of_time;
  bool idle_ = false, sent_idle_ = false;
  bool finishing_ = false, ended_ = false;
};

}  // namespace tensair::operators
