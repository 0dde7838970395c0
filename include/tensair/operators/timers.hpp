#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <tensair/operators/owned.hpp>
#include <utility>
#include <vector>

// Timers of many keys.
//
// A radix heap (Ahuja et al., "Faster algorithms for the shortest path problem", J. ACM 1990). Time goes on, so no
// timer that is set lies before the last one that has come; and a timer lies in bucket b if b bits from the right is
// where its time first differs from that one's. Setting a timer is putting it at a vector's end. When the first buckets
// are empty, the next one's timers are shared out among those before it: so a timer is moved a few times in its life,
// and always through memory that follows on, where a binary heap of a million keys would wait for memory at each of its
// twenty levels.

namespace tensair::operators {

/// Timers of one kind of time, soonest first.
template <class TimeType, class K>
class Timers {
 public:
  struct Timer {
    TimeType time;
    Owned<K> key;
  };

  void add(TimeType time, const Owned<K>& key) {
    const auto at = ticks(time);
    auto& bucket = buckets_[bucket_of(at)];
    bucket.timers.push_back({time, key});
    bucket.first = std::min(bucket.first, at);
    first_ = std::min(first_, at);
    ++size_;
  }

  auto first() const -> TimeType { return size_ == 0 ? TimeType::max() : time_at(first_); }
  auto due(TimeType now) const -> bool { return size_ > 0 && first_ <= ticks(now); }

  /// The soonest timer, of which there must be one; of those of one time the one that was set first.
  auto take() -> Timer {
    return take([](const Owned<K>&, bool) {});
  }
  /// The same; calls `near(key, very)` for timers whose turn comes near, and again when it is very near.
  template <class Near>
  auto take(Near near) -> Timer {
    if (buckets_[0].timers.empty()) share_out(near);
    auto& timers = buckets_[0].timers;
    auto next = timers.begin() + static_cast<std::ptrdiff_t>(taken_);
    // Mostly all have the same time. Those that were set for an earlier time than one that has come lie here too.
    if (ticks(next->time) != first_) {
      const auto soonest =
          std::find_if(next, timers.end(), [&](const Timer& one) { return ticks(one.time) == first_; });
      std::rotate(next, soonest, soonest + 1);
    }
    Timer timer = std::move(*next);
    --size_;
    if (++taken_ == timers.size()) {
      timers.clear();
      taken_ = 0;
    }
    find_first();
    return timer;
  }

 private:
  using Ticks = std::uint64_t;  // in the same order as times
  static constexpr Ticks none = ~Ticks{0};
  static constexpr std::size_t few = 128, very_few = 32;

  struct Bucket {
    std::vector<Timer> timers{};
    Ticks first = none;
  };

  static auto ticks(TimeType time) -> Ticks {
    return std::min(static_cast<Ticks>(time.time_since_epoch().count()) ^ Ticks{1} << 63, none - 1);
  }
  static auto time_at(Ticks at) -> TimeType {
    return TimeType{typename TimeType::duration{static_cast<std::int64_t>(at ^ Ticks{1} << 63)}};
  }
  auto bucket_of(Ticks at) const -> std::size_t {
    return at <= last_ ? 0 : static_cast<std::size_t>(std::bit_width(at ^ last_));
  }

  // Time goes on to the first timer, and what is in its bucket is sorted by how far it is from there.
  template <class Near>
  void share_out(Near near) {
    std::size_t b = 0;
    while (buckets_[b].first != first_) ++b;
    last_ = std::max(last_, first_);
    auto& from = buckets_[b];
    from.first = none;
    const std::size_t others = from.timers.size();
    for (auto& timer : from.timers) {
      if (others <= few) near(std::as_const(timer.key), others <= very_few);
      const auto at = ticks(timer.time);
      auto& to = buckets_[bucket_of(at)];
      to.timers.push_back(std::move(timer));
      to.first = std::min(to.first, at);
    }
    from.timers.clear();
  }

  void find_first() {
    auto& now = buckets_[0];
    if (now.timers.empty()) {
      now.first = none;
    } else if (ticks(now.timers[taken_].time) != now.first) {
      now.first = none;
      for (std::size_t i = taken_; i < now.timers.size(); ++i)
        now.first = std::min(now.first, ticks(now.timers[i].time));
    }
    first_ = none;
    for (const auto& bucket : buckets_) {
      first_ = std::min(first_, bucket.first);
      if (bucket.first != none) break;
    }
  }

  std::array<Bucket, 65> buckets_{};
  Ticks last_ = 0;  // the latest time of a timer that has come
  Ticks first_ = none;
  std::size_t size_ = 0;
  std::size_t taken_ = 0;  // of the timers in the first bucket
};

}  // namespace tensair::operators
