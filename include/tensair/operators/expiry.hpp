#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

namespace tensair::operators {

/// a + b, at most and at least what fits.
inline auto add_saturated(std::int64_t a, std::int64_t b) -> std::int64_t {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b > 0 ? INT64_MAX : INT64_MIN;
}

/// What is to be dropped, and when. Times are put together in buckets, so that adding one costs an entry in a vector;
/// in exchange something is dropped up to a bucket's width later than it might.
template <class Item>
class Expiry {
 public:
  /// @param width  of a bucket, at least 1
  void set_width(std::int64_t width) { width_ = std::max<std::int64_t>(width, 1); }

  void add(std::int64_t time, Item item) {
    const std::int64_t bucket = time >= 0 ? time / width_ : (time + 1) / width_ - 1;
    if (!last_ || bucket != last_bucket_) {
      last_ = &buckets_[bucket];
      last_bucket_ = bucket;
    }
    last_->push_back(std::move(item));
  }

  /// When the next items fall due: all in their bucket then have a time before that.
  auto first() const -> std::int64_t {
    if (buckets_.empty()) return INT64_MAX;
    std::int64_t end = 0;
    return __builtin_mul_overflow(buckets_.begin()->first + 1, width_, &end) ? INT64_MAX : end;
  }
  auto due(std::int64_t now) const -> bool { return first() <= now && !buckets_.empty(); }

  /// Some that are due, `most` at most, to be dropped by the caller. Precondition: `due(now)`
  void take(std::size_t most, std::vector<Item>& into) {
    auto& items = buckets_.begin()->second;
    const auto left = items.end() - static_cast<std::ptrdiff_t>(std::min(most, items.size()));
    into.assign(std::make_move_iterator(left), std::make_move_iterator(items.end()));
    items.erase(left, items.end());
    if (!items.empty()) return;
    if (last_ == &items) last_ = nullptr;
    buckets_.erase(buckets_.begin());
  }

  void clear() {
    buckets_.clear();
    last_ = nullptr;
  }

 private:
  std::int64_t width_ = 1;
  std::map<std::int64_t, std::vector<Item>> buckets_;
  // The bucket of the item before: mostly that of the next one too. (Elements of a map stay where they are, also when
  // the map is moved.)
  std::vector<Item>* last_ = nullptr;
  std::int64_t last_bucket_ = 0;
};

}  // namespace tensair::operators
