#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <tensair/operators/owned.hpp>
#include <type_traits>
#include <utility>
#include <vector>

// Timers of many keys.
//
// A radix heap (Ahuja et al., "Faster algorithms for the shortest path problem", J. ACM 1990) with digits of six bits.
// Time goes on, so no timer is set before the last one that has come, but for a few that come at once. A timer lies in
// the bucket of the highest digit in which its time differs from that one's, and of that digit's value. Setting a timer
// is putting it at the end of a list; when no earlier timer is left, the next bucket's timers are shared out among
// those of lower digits. So a timer is moved a few times in its life, two seconds in microseconds ahead three times,
// and through memory that follows on, where a binary heap of a million keys would wait for memory at each of its twenty
// levels.
//
// Lists are made of pieces that are used again, so that memory is what timers need, whichever buckets they lie in.

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
    if (!heap_) heap_ = std::make_unique<Heap>();
    const auto at = ticks(time);
    heap_->add(at, {time, key});
    first_ = std::min(first_, at);
  }

  auto first() const -> TimeType { return first_ == none ? TimeType::max() : time_at(first_); }
  auto due(TimeType now) const -> bool { return first_ <= ticks(now); }

  /// The soonest timer, of which there must be one; of those of one time the one that was set first.
  auto take() -> Timer {
    return take([](const Owned<K>&, bool) {});
  }
  /// The same; calls `near(key, very)` for timers whose turn comes near, and again when it is very near.
  template <class Near>
  auto take(Near near) -> Timer {
    Timer timer = heap_->take(near);
    first_ = heap_->first();
    return timer;
  }

 private:
  using Ticks = std::uint64_t;  // in the same order as times
  static constexpr Ticks none = ~Ticks{0};

  static auto ticks(TimeType time) -> Ticks {
    return std::min(static_cast<Ticks>(time.time_since_epoch().count()) ^ Ticks{1} << 63, none - 1);
  }
  static auto time_at(Ticks at) -> TimeType {
    return TimeType{typename TimeType::duration{static_cast<std::int64_t>(at ^ Ticks{1} << 63)}};
  }

  /// Some timers in a row, and what follows them in their list.
  struct Piece {
    static constexpr std::size_t bytes = 512;  // long enough for the processor to see that memory follows on
    static constexpr std::size_t most = std::max<std::size_t>((bytes - 16) / sizeof(Timer), 4);

    Piece* next;
    std::uint32_t begin, end;
    alignas(Timer) std::byte room[most * sizeof(Timer)];

    auto at(std::uint32_t i) -> Timer* { return std::launder(reinterpret_cast<Timer*>(room + i * sizeof(Timer))); }
  };

  /// The pieces of all lists. They go back to the system with it.
  class Pieces {
   public:
    auto get() -> Piece* {
      if (free_ == nullptr) more();
      auto* piece = std::exchange(free_, free_->next);
      piece->next = nullptr;
      piece->begin = piece->end = 0;
      return piece;
    }
    void put(Piece* piece) { piece->next = std::exchange(free_, piece); }

   private:
    [[gnu::noinline]] void more() {
      constexpr std::size_t least = 4, most = 64;  // 2 KiB, 32 KiB
      const auto count = std::clamp(least << std::min<std::size_t>(blocks_.size(), 8), least, most);
      auto& block = blocks_.emplace_back(std::make_unique_for_overwrite<Piece[]>(count));
      for (std::size_t i = 0; i < count; ++i) put(&block[i]);
    }

    std::vector<std::unique_ptr<Piece[]>> blocks_;
    Piece* free_ = nullptr;
  };

  struct List {
    Piece *head = nullptr, *tail = nullptr;

    auto empty() const -> bool { return head == nullptr; }
    void push(Pieces& pieces, Timer&& timer) {
      if (tail == nullptr || tail->end == Piece::most) {
        auto* piece = pieces.get();
        (tail == nullptr ? head : tail->next) = piece;
        tail = piece;
      }
      std::construct_at(tail->at(tail->end++), std::move(timer));
    }
    auto pop(Pieces& pieces) -> Timer {
      Timer* first = head->at(head->begin++);
      Timer timer = std::move(*first);
      std::destroy_at(first);
      if (head->begin == head->end) {
        auto* piece = std::exchange(head, head->next);
        if (head == nullptr) tail = nullptr;
        pieces.put(piece);
      }
      return timer;
    }
    /// How many there are, or some number above `most`.
    auto size(std::size_t most) const -> std::size_t {
      std::size_t sum = 0;
      for (auto* piece = head; piece != nullptr && sum <= most; piece = piece->next) sum += piece->end - piece->begin;
      return sum;
    }
    template <class F>
    void for_each(F f) const {
      for (auto* piece = head; piece != nullptr; piece = piece->next) {
        for (auto i = piece->begin; i < piece->end; ++i) f(*piece->at(i));
      }
    }
  };

  class Heap {
   public:
    Heap() = default;
    Heap(const Heap&) = delete;
    auto operator=(const Heap&) -> Heap& = delete;
    ~Heap() {
      if constexpr (!std::is_trivially_destructible_v<Timer>) {
        const auto destroy = [](Timer& timer) { std::destroy_at(&timer); };
        now_.for_each(destroy);
        for (auto& bucket : buckets_) bucket.timers.for_each(destroy);
      }
    }

    void add(Ticks at, Timer timer) {
      if (at > last_) {
        put(at, std::move(timer));
      } else if (at == last_) {
        now_.push(pieces_, std::move(timer));
      } else {
        const auto later = [](Ticks one, const Timer& other) { return one < ticks(other.time); };
        const auto rest = overdue_.begin() + static_cast<std::ptrdiff_t>(overdue_taken_);
        overdue_.insert(std::upper_bound(rest, overdue_.end(), at, later), std::move(timer));
      }
    }

    template <class Near>
    auto take(Near& near) -> Timer {
      if (overdue_taken_ < overdue_.size()) [[unlikely]]
        return take_overdue();
      if (now_.empty()) share_out(near);
      return now_.pop(pieces_);
    }

    auto first() const -> Ticks {
      if (overdue_taken_ < overdue_.size()) [[unlikely]]
        return ticks(overdue_[overdue_taken_].time);
      if (!now_.empty()) return last_;
      return filled_levels_ == 0 ? none : buckets_[next_bucket()].first;
    }

   private:
    static constexpr int digit_bits = 6, digits = 1 << digit_bits, levels = (64 + digit_bits - 1) / digit_bits;
    // More than that many timers are not near, and fewer than that few hardly worth it.
    static constexpr std::size_t many = 128, few = 2;

    struct Bucket {
      List timers{};
      Ticks first = none;
    };

    void put(Ticks at, Timer&& timer) {
      const int level = (63 - std::countl_zero(at ^ last_)) / digit_bits;
      const auto digit = at >> (level * digit_bits) & (digits - 1);
      auto& bucket = buckets_[static_cast<std::size_t>(level * digits) + digit];
      bucket.timers.push(pieces_, std::move(timer));
      bucket.first = std::min(bucket.first, at);
      filled_[static_cast<std::size_t>(level)] |= std::uint64_t{1} << digit;
      filled_levels_ |= 1U << level;
    }

    // Those of lower digits are sooner.
    auto next_bucket() const -> std::size_t {
      const auto level = static_cast<std::size_t>(std::countr_zero(filled_levels_));
      return level * digits + static_cast<std::size_t>(std::countr_zero(filled_[level]));
    }

    // Time goes on to the first timer, and what is in its bucket is sorted by how far it is from there.
    template <class Near>
    void share_out(Near& near) {
      const auto number = next_bucket();
      const auto level = number / digits;
      filled_[level] &= filled_[level] - 1;
      if (filled_[level] == 0) filled_levels_ &= filled_levels_ - 1;
      auto from = std::exchange(buckets_[number], {});
      last_ = from.first;
      const auto count = from.timers.size(many);
      const bool is_near = count <= many && (level > 0 || count > few);
      if (is_near) from.timers.for_each([&](const Timer& timer) { near(timer.key, false); });
      if (level == 0) {  // all have that time
        if (is_near) from.timers.for_each([&](const Timer& timer) { near(timer.key, true); });
        now_ = from.timers;
        return;
      }
      for (auto* piece = from.timers.head; piece != nullptr;) {
        fetch(piece->next);
        for (auto i = piece->begin; i < piece->end; ++i) {
          Timer& timer = *piece->at(i);
          if (is_near) near(std::as_const(timer.key), true);
          const auto at = ticks(timer.time);
          if (at == last_) {
            now_.push(pieces_, std::move(timer));
          } else {
            put(at, std::move(timer));
          }
          std::destroy_at(&timer);
        }
        pieces_.put(std::exchange(piece, piece->next));
      }
    }
    static void fetch(const Piece* piece) {
      if (piece == nullptr) return;
      const auto* memory = reinterpret_cast<const std::byte*>(piece);
      for (std::size_t i = 0; i < sizeof(Piece); i += 64) __builtin_prefetch(memory + i);
    }

    [[gnu::noinline]] auto take_overdue() -> Timer {
      Timer timer = std::move(overdue_[overdue_taken_]);
      if (++overdue_taken_ == overdue_.size()) {
        overdue_.clear();
        overdue_taken_ = 0;
      }
      return timer;
    }

    std::array<Bucket, levels * digits> buckets_{};
    std::array<std::uint64_t, levels> filled_{};  // a bit for each bucket that is not empty
    std::uint32_t filled_levels_ = 0;
    Ticks last_ = 0;  // the latest time of a timer that has come
    List now_;        // of that time
    Pieces pieces_;
    // Those that were set for an earlier time than one that has come, by time, behind as many that have come too.
    std::vector<Timer> overdue_;
    std::size_t overdue_taken_ = 0;
  };

  std::unique_ptr<Heap> heap_;
  Ticks first_ = none;
};

}  // namespace tensair::operators
