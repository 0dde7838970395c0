#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tensair/operators/key_hash.hpp>
#include <tensair/operators/owned.hpp>
#include <utility>

// The map that keyed operators keep their state in.
//
// Entries (key and state side by side) lie densely in segments, each as big as all before it together, and never move:
// growing costs no copy of states, and references stay valid until something is erased. The index is an open-addressing
// table with linear probing. A slot holds 32 bits of the key's hash beside the entry's number, so a probe compares keys
// only when the hash agrees, and growing the index reads neither keys nor entries. Erasing shifts the following slots
// back, so nothing is left behind that would slow down later look-ups.

namespace tensair::operators {

/// Memory for tables: zeroed; big pieces in huge pages where the system has them, since look-ups go everywhere.
/// @throws std::bad_alloc
auto allocate_table(std::size_t bytes) -> void*;
void free_table(void* memory, std::size_t bytes) noexcept;
/// More entries than 32 bits can number. @throws Error
[[noreturn]] void throw_too_many_keys();

/// States of so many bytes in all are mostly in the processor's caches, so that fetching them ahead does not pay.
inline constexpr std::size_t near_the_processor = std::size_t{1} << 20;

/// Fetches memory that will be needed soon. The empty asm is there because gcc takes a function that only fetches for
/// one without effect, and leaves calls of it out.
inline void prefetch(const void* memory) {
  __builtin_prefetch(memory);
  asm volatile("");
}

/// A hash map from keys to states. Keys are looked up by anything that compares with them and has the same hash, so a
/// `std::string_view` finds a `std::string` without making one.
template <class K, class V>
class StateMap {
 public:
  struct Entry {
    Owned<K> key;
    V value;
  };

  static_assert(alignof(Entry) <= alignof(std::max_align_t), "a key or state with a wider alignment than any number");

  StateMap() = default;
  StateMap(StateMap&& other) noexcept { swap(other); }
  auto operator=(StateMap&& other) noexcept -> StateMap& {
    swap(other);
    return *this;
  }
  ~StateMap() {
    clear_entries();
    for (std::size_t s = 0; s < segments_.size() && segments_[s]; ++s)
      free_table(segments_[s], segment_size(s) * sizeof(Entry));
    if (slots_ != &no_slot) free_table(slots_, (mask_ + 1) * sizeof(std::uint64_t));
  }

  auto size() const -> std::size_t { return size_; }
  auto empty() const -> bool { return size_ == 0; }

  /// The entries in no particular order: `at(0)` to `at(size() - 1)`.
  auto at(std::size_t i) -> Entry& {
    const std::size_t shifted = i + first_segment;
    const auto segment = static_cast<std::size_t>(std::bit_width(shifted) - first_bits);
    return segments_[segment][shifted - (first_segment << segment)];
  }

  /// The entry of a key, or null. Always inlined: it is most of what a keyed operator does with a record, and a unit
  /// with many of them would call it.
  template <class Like>
  [[gnu::always_inline]] auto find(const Like& key, std::uint64_t hash) -> Entry* {
    const std::uint64_t tag = hash >> 32;
    for (std::size_t slot = tag & mask_; slots_[slot] != 0; slot = (slot + 1) & mask_) {
      if (slots_[slot] >> 32 != tag) continue;
      Entry& entry = at(number(slots_[slot]));
      if (entry.key == key) return &entry;
    }
    return nullptr;
  }

  /// For look-ups that are known beforehand: `prefetch_slot` for each of their hashes, later `expected` for each, which
  /// fetches the entry that will most likely be found, or null; its members can be read later still. Then they all wait
  /// for memory together instead of each on its own.
  void prefetch_slot(std::uint64_t hash) const { prefetch(&slots_[(hash >> 32) & mask_]); }
  auto expected(std::uint64_t hash) -> Entry* {
    const std::uint64_t tag = hash >> 32;
    for (std::size_t slot = tag & mask_; slots_[slot] != 0; slot = (slot + 1) & mask_) {
      if (slots_[slot] >> 32 != tag) continue;
      Entry& entry = at(number(slots_[slot]));
      prefetch(&entry);
      if constexpr (sizeof(Entry) > 16) prefetch(reinterpret_cast<const char*>(&entry + 1) - 1);
      return &entry;
    }
    return nullptr;
  }

  /// Fetches what the next erasures will need: the entries that will move, and the slots that say where those are. For
  /// maps of many keys that are hashed in no time.
  void prefetch_last() {
    if (size_ < 4) return;
    prefetch_slot(hash_key(at(size_ - 2).key));
    prefetch(&at(size_ - 4));
  }

  /// The entry of a key; a new one gets the state `make()`.
  template <class Like, class Make>
  [[gnu::always_inline]] auto find_or_make(const Like& key, std::uint64_t hash, Make&& make) -> Entry& {
    if (Entry* found = find(key, hash)) [[likely]]
      return *found;
    return insert(Owned<K>(key), hash, std::forward<Make>(make));
  }

  /// Takes the entry of a key out. The last entry moves into its place.
  template <class Like>
  auto erase(const Like& key, std::uint64_t hash) -> bool {
    const std::uint64_t tag = hash >> 32;
    for (std::size_t slot = tag & mask_; slots_[slot] != 0; slot = (slot + 1) & mask_) {
      if (slots_[slot] >> 32 != tag || !(at(number(slots_[slot])).key == key)) continue;
      erase_slot(slot);
      return true;
    }
    return false;
  }

  /// Takes the i-th entry out. The last entry moves into its place.
  void erase_at(std::size_t i) {
    const std::uint64_t wanted = slot_of(hash_key(at(i).key), i);
    std::size_t slot = (wanted >> 32) & mask_;
    while (slots_[slot] != wanted) slot = (slot + 1) & mask_;
    erase_slot(slot);
  }

  void clear() {
    clear_entries();
    if (slots_ != &no_slot) std::fill_n(slots_, mask_ + 1, 0);
  }

 private:
  static constexpr std::size_t first_segment = 64;
  static constexpr int first_bits = 7;  // of 64
  static constexpr std::size_t most = 0xffff'fff0;
  static constexpr std::size_t small = 2048;  // slots: 16 KiB

  static auto segment_size(std::size_t segment) -> std::size_t { return first_segment << segment; }
  static auto number(std::uint64_t slot) -> std::size_t { return static_cast<std::uint32_t>(slot) - 1; }
  static auto slot_of(std::uint64_t hash, std::size_t number) -> std::uint64_t {
    return (hash >> 32) << 32 | (number + 1);
  }

  template <class Make>
  [[gnu::noinline]] auto insert(Owned<K> key, std::uint64_t hash, Make&& make) -> Entry& {
    if (size_ >= most) throw_too_many_keys();
    if (is_full()) grow();
    const std::size_t shifted = size_ + first_segment;
    const auto segment = static_cast<std::size_t>(std::bit_width(shifted) - first_bits);
    if (!segments_[segment])
      segments_[segment] = static_cast<Entry*>(allocate_table(segment_size(segment) * sizeof(Entry)));
    Entry* entry = &at(size_);
    ::new (static_cast<void*>(entry)) Entry{std::move(key), std::forward<Make>(make)()};
    place(slot_of(hash, size_));
    ++size_;
    return *entry;
  }

  // A small table has room to spare, as it is near anyhow: a key that is not where it belongs costs a branch that the
  // processor did not foresee.
  auto is_full() const -> bool {
    return slots_ == &no_slot || size_ * 3 >= (mask_ + 1) * 2 || (mask_ < small && size_ * 8 > mask_);
  }

  void place(std::uint64_t filled) {
    std::size_t slot = (filled >> 32) & mask_;
    while (slots_[slot] != 0) slot = (slot + 1) & mask_;
    slots_[slot] = filled;
  }

  void grow() {
    const bool first = slots_ == &no_slot;
    const std::size_t old_size = first ? 0 : mask_ + 1;
    auto* old = slots_;
    const std::size_t size = first ? 128 : old_size * 2;
    slots_ = static_cast<std::uint64_t*>(allocate_table(size * sizeof(std::uint64_t)));
    mask_ = size - 1;
    for (std::size_t i = 0; i < old_size; ++i) {
      if (old[i] != 0) place(old[i]);
    }
    if (!first) free_table(old, old_size * sizeof(std::uint64_t));
  }

  void erase_slot(std::size_t slot) {
    const std::size_t hole = number(slots_[slot]);
    close_gap(slot);
    Entry& last = at(size_ - 1);
    if (hole != size_ - 1) {
      renumber(hash_key(last.key), size_ - 1, hole);
      std::destroy_at(&at(hole));
      std::construct_at(&at(hole), std::move(last));
    }
    std::destroy_at(&last);
    --size_;
  }

  // Empties a slot: what was pushed behind its place by it, and what by that, moves up.
  void close_gap(std::size_t gap) {
    for (std::size_t slot = (gap + 1) & mask_; slots_[slot] != 0; slot = (slot + 1) & mask_) {
      const std::size_t home = (slots_[slot] >> 32) & mask_;
      // It may move to the gap unless its home lies behind the gap.
      if (((slot - home) & mask_) < ((slot - gap) & mask_)) continue;
      slots_[gap] = slots_[slot];
      gap = slot;
    }
    slots_[gap] = 0;
  }

  void renumber(std::uint64_t hash, std::size_t from, std::size_t to) {
    const std::uint64_t wanted = slot_of(hash, from);
    std::size_t slot = (wanted >> 32) & mask_;
    while (slots_[slot] != wanted) slot = (slot + 1) & mask_;
    slots_[slot] = slot_of(hash, to);
  }

  void clear_entries() {
    for (std::size_t i = 0; i < size_; ++i) std::destroy_at(&at(i));
    size_ = 0;
  }

  void swap(StateMap& other) noexcept {
    std::swap(segments_, other.segments_);
    std::swap(slots_, other.slots_);
    std::swap(mask_, other.mask_);
    std::swap(size_, other.size_);
  }

  static inline std::uint64_t no_slot = 0;  // the index of an empty map; never written

  std::array<Entry*, 32> segments_{};
  std::uint64_t* slots_ = &no_slot;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
};

}  // namespace tensair::operators
