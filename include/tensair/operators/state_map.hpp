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
#include <vector>

// The map that keyed operators keep their state in.
//
// Entries (key and state side by side) lie densely in segments, each as big as all before it together, and never move:
// growing costs no copy of states, and references stay valid until something is erased. The index is an open-addressing
// table with linear probing. A slot has 32 bits: in a table of 2^b slots b of them are the entry's number, one says
// whether the key is where it belongs or further back, and the others are of its hash, so a probe compares keys only
// when these agree. They are as few as that because look-ups wait for the index: with twice as many they take a tenth
// longer. The price is that the index grows by hashing all keys again. Erasing shifts the following slots back, so
// nothing is left behind that would slow down later look-ups.

namespace tensair::operators {

/// Memory for tables: zeroed; big pieces in huge pages where the system has them, since look-ups go everywhere.
/// @throws std::bad_alloc
auto allocate_table(std::size_t bytes) -> void*;
void free_table(void* memory, std::size_t bytes) noexcept;
/// More entries than a slot can number. @throws Error
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
    if (slots_ != &no_slot) free_table(slots_, (mask_ + 1) * sizeof(Slot));
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
    for (Probe probe{*this, hash}; slots_[probe.at] != 0; probe.next()) {
      if (!probe.fits(slots_[probe.at])) continue;
      Entry& entry = at(probe.number(slots_[probe.at]));
      if (entry.key == key) return &entry;
    }
    return nullptr;
  }

  /// For look-ups that are known beforehand: `prefetch_slot` for each of their hashes, later `expected` for each, which
  /// fetches the entry that will most likely be found, or null; its members can be read later still. Then they all wait
  /// for memory together instead of each on its own.
  void prefetch_slot(std::uint64_t hash) const { prefetch(&slots_[home_of(hash)]); }
  auto expected(std::uint64_t hash) -> Entry* {
    for (Probe probe{*this, hash}; slots_[probe.at] != 0; probe.next()) {
      if (!probe.fits(slots_[probe.at])) continue;
      Entry& entry = at(probe.number(slots_[probe.at]));
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
    prefetch_slot(hash_of(at(size_ - 2)));
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
    for (Probe probe{*this, hash}; slots_[probe.at] != 0; probe.next()) {
      if (!probe.fits(slots_[probe.at]) || !(at(probe.number(slots_[probe.at])).key == key)) continue;
      erase_slot(probe.at);
      return true;
    }
    return false;
  }

  /// Takes the i-th entry out. The last entry moves into its place.
  void erase_at(std::size_t i) { erase_slot(find_slot(hash_of(at(i)), i).at); }

  void clear() {
    clear_entries();
    if (slots_ != &no_slot) std::fill_n(slots_, mask_ + 1, 0);
  }

 private:
  static constexpr std::size_t first_segment = 64;
  static constexpr int first_bits = 7;              // of 64
  static constexpr std::size_t most = 0x5555'5550;  // two thirds of what 31 bits can number
  static constexpr std::size_t small = 4096;        // slots: 16 KiB

  static auto segment_size(std::size_t segment) -> std::size_t { return first_segment << segment; }

  // 0: empty. Else an entry's number + 1 in the bits of `mask_`, above them those of the lower half of its key's hash,
  // and `displaced`.
  using Slot = std::uint32_t;
  static constexpr Slot displaced = 0x8000'0000;  // not where its hash says, but behind

  // The slots in which a key may be, one by one.
  struct Probe {
    Probe(const StateMap& map, std::uint64_t hash)
        : mask(map.mask_), at((hash >> 32) & mask), bits(static_cast<Slot>(hash & ~mask) & ~displaced) {}
    void next() {
      at = (at + 1) & mask;
      bits |= displaced;
    }
    // Whether the slot may be that of the key, which is then the entry of this number.
    auto fits(Slot slot) const -> bool { return (slot ^ bits) <= mask; }
    auto number(Slot slot) const -> std::size_t { return (slot ^ bits) - std::size_t{1}; }
    auto filled_with(std::size_t number) const -> Slot { return bits | static_cast<Slot>(number + 1); }

    std::size_t mask, at;
    Slot bits;
  };

  // Of the key as it was looked up: what is kept of it may have no hash.
  static auto hash_of(Entry& entry) -> std::uint64_t { return hash_key(OwnedRecord<K>::view(entry.key)); }
  auto number(Slot slot) const -> std::size_t { return (slot & mask_) - 1; }
  auto home_of(std::uint64_t hash) const -> std::size_t { return (hash >> 32) & mask_; }
  auto behind(std::size_t slot) const -> std::size_t { return (slot + 1) & mask_; }

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
    place(hash, size_);
    ++size_;
    return *entry;
  }

  // A small table has room to spare, as it is near anyhow: a key that is not where it belongs costs a branch that the
  // processor did not foresee.
  auto is_full() const -> bool {
    return slots_ == &no_slot || size_ * 3 >= (mask_ + 1) * 2 || (mask_ < small && size_ * 8 > mask_);
  }

  void place(std::uint64_t hash, std::size_t number) {
    Probe probe{*this, hash};
    while (slots_[probe.at] != 0) probe.next();
    slots_[probe.at] = probe.filled_with(number);
  }

  // If a key's hash throws, all is as before.
  void grow() {
    StateMap larger;
    larger.mask_ = slots_ == &no_slot ? 127 : mask_ * 2 + 1;
    larger.slots_ = static_cast<Slot*>(allocate_table((larger.mask_ + 1) * sizeof(Slot)));
    // Places of some keys are fetched together, as their places are all over the table.
    std::array<std::uint64_t, 32> hashes;
    for (std::size_t from = 0; from < size_; from += hashes.size()) {
      const std::size_t n = std::min(hashes.size(), size_ - from);
      for (std::size_t i = 0; i < n; ++i) larger.prefetch_slot(hashes[i] = hash_of(at(from + i)));
      for (std::size_t i = 0; i < n; ++i) larger.place(hashes[i], from + i);
    }
    std::swap(slots_, larger.slots_);
    std::swap(mask_, larger.mask_);
  }

  // If a key's hash throws, all is as before.
  void erase_slot(std::size_t slot) {
    Entry& last = at(size_ - 1);
    const std::uint64_t hash_of_last = hash_of(last);
    const std::size_t hole = number(slots_[slot]);
    if constexpr (hash_is_safe<K>) {
      slots_[for_moves_up_to(slot, [&](std::size_t to, Slot filled) { slots_[to] = filled; })] = 0;
    } else {
      std::vector<std::pair<std::size_t, Slot>> moves;
      const std::size_t empty =
          for_moves_up_to(slot, [&](std::size_t to, Slot filled) { moves.emplace_back(to, filled); });
      for (const auto& [to, filled] : moves) slots_[to] = filled;
      slots_[empty] = 0;
    }
    if (hole != size_ - 1) {
      const Probe found = find_slot(hash_of_last, size_ - 1);
      slots_[found.at] = found.filled_with(hole);
      std::destroy_at(&at(hole));
      std::construct_at(&at(hole), std::move(last));
    }
    std::destroy_at(&last);
    --size_;
  }

  // What emptying a slot moves: what was pushed behind its place by it, and what by that. Calls `move(to, filled)` for
  // each, and returns the slot that is to be empty in the end.
  template <class Move>
  auto for_moves_up_to(std::size_t gap, Move move) -> std::size_t {
    for (std::size_t slot = behind(gap); slots_[slot] != 0; slot = behind(slot)) {
      if ((slots_[slot] & displaced) == 0) continue;
      const std::size_t home = home_of(hash_of(at(number(slots_[slot]))));
      // It may move to the gap unless its home lies behind the gap.
      if (((slot - home) & mask_) < ((slot - gap) & mask_)) continue;
      move(gap, home == gap ? slots_[slot] & ~displaced : slots_[slot]);
      gap = slot;
    }
    return gap;
  }

  // Where an entry's number stands.
  auto find_slot(std::uint64_t hash, std::size_t number) const -> Probe {
    Probe probe{*this, hash};
    while (slots_[probe.at] != probe.filled_with(number)) probe.next();
    return probe;
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

  static inline Slot no_slot = 0;  // the index of an empty map; never written

  std::array<Entry*, 32> segments_{};
  Slot* slots_ = &no_slot;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
};

}  // namespace tensair::operators
