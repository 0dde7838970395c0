#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <tensair/operators/chunk.hpp>
#include <tensair/runtime/input_watermarks.hpp>
#include <utility>
#include <vector>

namespace tensair::runtime {

/// Records that a stage is told of together before they come one by one: as many cache misses as a processor has under
/// way, several times.
inline constexpr std::size_t expected_at_once = 64;

/// A stage that fetches what it will need for records from the `from`-th to before the `to`-th. It is shown records as
/// they are kept; so of views only if it says that it knows those.
template <class Fused, class T>
concept ExpectsRecords = (!is_view<T> || requires { Fused::expects_kept_records; }) &&
                         requires(Fused& fused, const std::vector<Owned<T>>& records, std::size_t at) {
  fused.expect(records, at, at);
};

/// An input of a task: the inlet, and the chunk of it that is being worked through.
template <class T, class StampOf>
struct TaskInput {
  using Record = T;
  using Stamp = StampOf;
  using Chunk = operators::Chunk<T, Stamp>;
  static constexpr bool timed = operators::is_timed<Stamp>;

  Inlet<Chunk> inlet;
  std::size_t senders;  ///< how many outlets the inlet has

  Box<Chunk> box{};  ///< none before the first chunk has come
  std::size_t next = 0;
  std::size_t expected = 0;  ///< records that the stage has been told of
  bool taken = false;        ///< the chunk is being worked on

  /// Precondition: a chunk has come
  auto chunk() const -> Chunk& { return box->item; }
  auto records() const -> std::vector<Owned<T>>& {
    if constexpr (timed) {
      return chunk().records;
    } else {
      return chunk();
    }
  }

  /// Takes the next chunk, if there is one. The one before gives its memory back to whoever sent it.
  /// @throws net::Malformed  it cannot have been sent by an outlet of this inlet
  auto take() -> bool {
    taken = inlet.exchange(box);
    next = expected = 0;
    if constexpr (timed) {
      if (taken && (chunk().times.size() != chunk().records.size() || chunk().sender >= senders))
        throw net::Malformed("a chunk of records with other times, or of a sender that is not there");
    }
    return taken;
  }

  /// Calls `pass(record, stamp)` for each record that is left, as far as the stages behind take them, but for no more
  /// than `most`; returns whether that was all.
  /// @tparam asks_ahead  the first stage takes records of this input only, and is told which come next
  template <bool asks_ahead, class Fused, class Pass>
  auto pass(Fused& fused, Pass pass, std::size_t most = std::numeric_limits<std::size_t>::max()) -> bool {
    auto& all = records();
    for (; next < all.size(); --most) {
      if (most == 0) return false;
      if (fused.blocked()) {
        fused.flush();
        if (fused.blocked()) return false;
      }
      if constexpr (asks_ahead && ExpectsRecords<Fused, T>) {
        if (next >= expected) {
          expected = std::min(next + expected_at_once, all.size());
          fused.expect(all, next, expected);
        }
      }
      Stamp stamp{};
      if constexpr (timed) stamp = chunk().times[next];
      pass(view_of<T>(all, next++), stamp);
    }
    taken = false;
    return true;
  }

  /// A sender that was idle and has sent the chunk at hand is back, which counts before the chunk's records do. `first`
  /// as below.
  template <class Fused>
  void pass_on_return(InputWatermarks& watermarks, Fused& fused, std::size_t first = 0) const {
    if (chunk().idle || !watermarks.come_back(first + chunk().sender)) return;
    fused.watermark(watermarks.watermark());
  }

  /// What a chunk that has been passed on says of its sender; `first` is the number of this input's first sender.
  template <class Fused>
  void pass_on_watermark(InputWatermarks& watermarks, Fused& fused, std::size_t first = 0) const {
    const auto before = watermarks.watermark();
    const bool idle_before = watermarks.idle();
    watermarks.update(first + chunk().sender, chunk().watermark, chunk().idle);
    // The end is announced when the inlets have ended.
    if (watermarks.watermark() != before && watermarks.watermark() != end_of_time)
      fused.watermark(watermarks.watermark());
    if (watermarks.idle() && !idle_before) fused.idle();
  }
};

}  // namespace tensair::runtime
