#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tensair/operators/owned.hpp>
#include <tensair/operators/state_map.hpp>
#include <type_traits>
#include <utility>
#include <vector>

namespace tensair::operators {

/// The number of a record that is kept, and of none.
using RecordNumber = std::uint32_t;
inline constexpr RecordNumber no_record = 0xffff'ffff;

/// One key's records, oldest first. The oldest one's time stands here too (INT64_MAX: there is none), so that nobody
/// need look at the record only to leave it where it is.
struct RecordList {
  RecordNumber first = no_record, last = no_record;
  std::int64_t first_time = INT64_MAX;
  auto empty() const -> bool { return first == no_record; }
};

/// More records than 32 bits can number. @throws Error
[[noreturn]] void throw_too_many_records();

/// The records of all keys, in doubly linked lists sorted by time. They lie in segments that never move, each as big as
/// all before it together, and places are used again: so keeping a record allocates nothing once there have been as
/// many.
template <class T>
class RecordLists {
 public:
  struct Node {
    std::int64_t time;
    RecordNumber next, previous;
    Owned<T> record;
  };
  static_assert(alignof(Node) <= alignof(std::max_align_t), "records with a wider alignment than any number");

  RecordLists() = default;
  RecordLists(RecordLists&& other) noexcept { swap(other); }
  auto operator=(RecordLists&& other) noexcept -> RecordLists& {
    swap(other);
    return *this;
  }
  /// Records that do not destroy themselves must have been removed.
  ~RecordLists() {
    for (std::size_t s = 0; s < segments_.size() && segments_[s]; ++s)
      free_table(segments_[s], (first_segment << s) * sizeof(Node));
  }

  auto at(RecordNumber number) -> Node& {
    const std::size_t shifted = number + first_segment;
    const auto segment = static_cast<std::size_t>(std::bit_width(shifted) - first_bits);
    return segments_[segment][shifted - (first_segment << segment)];
  }
  void prefetch(RecordNumber number) {
    if (number != no_record) prefetch_node(number);
  }

  /// Fetches the second record of a list, the first being there.
  void prefetch_next(const RecordList& list) {
    if (list.first != list.last) prefetch(at(list.first).next);
  }

  /// Puts the record `make()` behind those of its list that are not newer. Costs a step for each that is.
  template <class Make>
  auto insert(RecordList& list, std::int64_t time, Make&& make) -> RecordNumber {
    const RecordNumber number = place();
    RecordNumber before = list.last, behind = no_record;
    while (before != no_record && at(before).time > time) {
      behind = before;
      before = at(before).previous;
    }
    ::new (static_cast<void*>(&at(number))) Node{time, behind, before, make()};
    (before == no_record ? list.first : at(before).next) = number;
    if (before == no_record) list.first_time = time;
    (behind == no_record ? list.last : at(behind).previous) = number;
    return number;
  }

  /// Whether a record may be in this list: one at an end of its list is at the end of this one.
  auto may_contain(const RecordList& list, RecordNumber number) -> bool {
    const Node& node = at(number);
    return (node.previous != no_record || list.first == number) && (node.next != no_record || list.last == number);
  }

  /// Precondition: the record is in this list.
  void erase(RecordList& list, RecordNumber number) {
    Node& node = at(number);
    if (node.previous == no_record) {
      list.first = node.next;
      list.first_time = node.next == no_record ? INT64_MAX : at(node.next).time;
    } else {
      at(node.previous).next = node.next;
    }
    (node.next == no_record ? list.last : at(node.next).previous) = node.previous;
    std::destroy_at(&node);
    give_back(number);
  }

  /// Takes the oldest record out. Precondition: there is one.
  void erase_first(RecordList& list) {
    if (list.first == list.last && std::is_trivially_destructible_v<Owned<T>>) {
      // Its memory need not be looked at.
      give_back(list.first);
      list = {};
    } else {
      erase(list, list.first);
    }
  }

  /// Takes all records out of a list.
  void clear(RecordList& list) {
    while (!list.empty()) erase(list, list.first);
  }

  /// Forgets all records at once, when they need no destructor. Their lists must be forgotten too.
  void clear() requires std::is_trivially_destructible_v<Owned<T>> {
    used_ = 0;
    free_.clear();
  }

  /// Fetches the place that the n-th record from now on will get, if it is one that was given back.
  void prefetch_place(std::size_t n) {
    if (n < free_.size()) prefetch_node(free_[free_.size() - 1 - n]);
  }

 private:
  static constexpr std::size_t first_segment = 64;
  static constexpr int first_bits = 7;  // of 64

  // A node may lie across two lines of memory.
  void prefetch_node(RecordNumber number) {
    const Node* node = &at(number);
    operators::prefetch(node);
    operators::prefetch(reinterpret_cast<const char*>(node + 1) - 1);
  }
  auto place() -> RecordNumber {
    if (!free_.empty()) {
      const RecordNumber number = free_.back();
      free_.pop_back();
      return number;
    }
    if (used_ == no_record - first_segment) throw_too_many_records();
    const std::size_t shifted = used_ + first_segment;
    const auto segment = static_cast<std::size_t>(std::bit_width(shifted) - first_bits);
    if (!segments_[segment])
      segments_[segment] = static_cast<Node*>(allocate_table((first_segment << segment) * sizeof(Node)));
    return used_++;
  }
  void give_back(RecordNumber number) { free_.push_back(number); }

  void swap(RecordLists& other) noexcept {
    std::swap(segments_, other.segments_);
    std::swap(used_, other.used_);
    std::swap(free_, other.free_);
  }

  std::array<Node*, 32> segments_{};
  RecordNumber used_ = 0;           // places that have been used once
  std::vector<RecordNumber> free_;  // those that can be used again; not in the places, which are far from each other
};

}  // namespace tensair::operators
