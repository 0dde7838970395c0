#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <tensair/operators/expiry.hpp>
#include <tensair/operators/key_by.hpp>
#include <tensair/operators/matched.hpp>
#include <tensair/operators/record_lists.hpp>
#include <tensair/operators/stage.hpp>
#include <type_traits>
#include <utility>
#include <vector>

// What joins that keep records of both sides build on.
//
// A key's entry has a list of records for each side, sorted by time. A record that comes looks through the other side's
// list and is put into its own. It is dropped when its time has come, in one of two ways. If records of a side go in
// the order of their times, all entries are looked at in turn, a few with each step of the watermark: what is due is at
// the front of its list, and the entries lie side by side (`sweep`). Else an expiry knows the records, a record its key
// (`drop`). A key without records leaves the table. Each turn drops a bounded number, more than can come in it, so
// however much falls due at once nothing stalls.
//
// With many keys nearly every step of that is a cache miss. Records come in chunks, so the steps of the next records
// are known: their slots, entries and list ends are fetched ahead.

namespace tensair::operators {

/// One of the inputs of a join.
enum class Side { left, right };

template <Side side>
inline constexpr Side other_side = side == Side::left ? Side::right : Side::left;

/// Both sides' records, by key.
template <class K, class L, class R>
class JoinTable {
 public:
  struct Lists {
    RecordList left, right;

    auto empty() const -> bool { return left.empty() && right.empty(); }
    template <Side side>
    auto of() -> RecordList& {
      if constexpr (side == Side::left) {
        return left;
      } else {
        return right;
      }
    }
  };

  JoinTable() = default;
  JoinTable(JoinTable&&) noexcept = default;
  auto operator=(JoinTable&&) noexcept -> JoinTable& = default;
  ~JoinTable() { clear(); }

  auto keys() -> StateMap<K, Lists>& { return keys_; }
  template <Side side>
  auto records() -> auto& {
    if constexpr (side == Side::left) {
      return left_;
    } else {
      return right_;
    }
  }
  template <Side side>
  auto expiry() -> Expiry<RecordNumber>& {
    return side == Side::left ? left_expiry_ : right_expiry_;
  }

  void clear() {
    if constexpr (!std::is_trivially_destructible_v<Owned<L>> || !std::is_trivially_destructible_v<Owned<R>>) {
      for (std::size_t i = 0; i < keys_.size(); ++i) {
        left_.clear(keys_.at(i).value.left);
        right_.clear(keys_.at(i).value.right);
      }
    }
    if constexpr (std::is_trivially_destructible_v<Owned<L>>) left_.clear();
    if constexpr (std::is_trivially_destructible_v<Owned<R>>) right_.clear();
    keys_.clear();
    left_expiry_.clear();
    right_expiry_.clear();
  }

 private:
  StateMap<K, Lists> keys_;
  RecordLists<L> left_;
  RecordLists<R> right_;
  Expiry<RecordNumber> left_expiry_, right_expiry_;
};

/// The records of a side and the function that says their keys (a KeyFunction).
template <class T, class F>
struct JoinSide {
  using Record = T;
  using Function = F;
  F function;
};

/// Calls `f` with the record that is kept, as what it was when it came.
template <class T, class F>
auto with_record(Owned<T>& kept, F&& f) -> decltype(auto) {
  if constexpr (is_view<T>) {
    const T view = OwnedRecord<T>::view(kept);
    return f(view);
  } else {
    return f(std::as_const(kept));
  }
}

/// @throws LambdaThrew  the operator's key function gave another key for a record than before
[[noreturn]] void throw_key_changed(const plan::Operator& op);

/// Subclasses say `left` and `right`, and call `drop`.
template <class K, class Left, class Right, class Next>
class JoinStage : public StageBase<Next> {
 public:
  static constexpr bool watermark_of_left = false;

  JoinStage(plan::OperatorRef op, Left left, Right right, Next next)
      : StageBase<Next>(std::move(next)), op_(op), left_(std::move(left)), right_(std::move(right)) {}

  void expect_left(std::vector<Owned<typename Left::Record>>& records) { expect<Side::left>(records); }
  void expect_right(std::vector<Owned<typename Right::Record>>& records) { expect<Side::right>(records); }

 protected:
  using Table = JoinTable<K, typename Left::Record, typename Right::Record>;
  using Entry = typename StateMap<K, typename Table::Lists>::Entry;
  template <Side side>
  using RecordOf = typename std::conditional_t<side == Side::left, Left, Right>::Record;

  template <Side side>
  auto function() -> auto& {
    if constexpr (side == Side::left) {
      return left_.function;
    } else {
      return right_.function;
    }
  }

  /// A key's hash, and its entry, null if it has none.
  struct Found {
    std::uint64_t hash;
    Entry* entry;
  };
  /// The key of the record that has come: of the next one of those expected.
  template <Side side, class Key>
  auto find(const Key& key) -> Found {
    auto& keys = table_->keys();
    const std::size_t i = next_coming_++;
    if (i >= coming_->size()) {
      const auto hash = function<side>().hash(key);
      return {hash, keys.find(key, hash)};
    }
    fetch<side>(i);
    Found& found = (*coming_)[i];
    if (found.entry == nullptr || !(found.entry->key == key)) found.entry = keys.find(key, found.hash);
    return found;
  }

  /// Puts a record into its key's list, to be dropped at `expiry` (`never_dropped`: not at all).
  /// @param entry  of the key, or null if it has none
  template <Side side, class Key, class T>
  void keep(Entry* entry, const Key& key, std::uint64_t hash, T&& record, std::int64_t time, std::int64_t expiry) {
    if (entry == nullptr) entry = &table_->keys().find_or_make(key, hash, [] { return typename Table::Lists{}; });
    const RecordNumber number = table_->template records<side>().insert(
        entry->value.template of<side>(), time,
        [&]() -> Owned<RecordOf<side>> { return OwnedRecord<RecordOf<side>>::own(std::forward<T>(record)); });
    if (expiry != never_dropped) table_->template expiry<side>().add(expiry, number);
  }
  static constexpr std::int64_t never_dropped = INT64_MAX;

  /// Calls `f(record, time)` for the records of a key's list with a time from `from` to `to`.
  template <Side side, class F>
  void for_each(Entry& entry, std::int64_t from, std::int64_t to, F&& f) {
    auto& records = table_->template records<side>();
    const RecordList& list = entry.value.template of<side>();
    if (list.first_time > to || (list.first == list.last && list.first_time < from)) return;
    for (RecordNumber i = list.first; i != no_record;) {
      auto& node = records.at(i);
      if (node.time > to) break;
      i = node.next;
      records.prefetch(i);
      if (node.time >= from)
        with_record<RecordOf<side>>(node.record, [&](const auto& record) { f(record, node.time); });
    }
  }

  /// Passes on a record of this side and one of the other.
  template <Side side, class Stamp>
  void emit(const RecordOf<side>& record, const RecordOf<other_side<side>>& other, Stamp stamp) {
    using Pair = Matched<typename Left::Record, typename Right::Record>;
    if constexpr (side == Side::left) {
      this->next_(Pair{&record, &other}, stamp);
    } else {
      this->next_(Pair{&other, &record}, stamp);
    }
  }

  /// Drops records of a side whose expiry lies before `now`, or some of them if they are many.
  template <Side side>
  void drop(std::int64_t now) {
    auto& expiry = table_->template expiry<side>();
    if (expiry.due(now)) forget_coming();
    for (std::size_t dropped = 0; dropped < most_dropped && expiry.due(now); dropped += due_->size()) {
      expiry.take(group, *due_);
      drop_group<side>();
    }
  }

  // A turn takes one chunk at most; it drops several times as many.
  static constexpr std::size_t group = 128, most_dropped = 2048;

  /// Looks at the next `n` entries, or fewer if many records are dropped; returns at how many. Dropped are records with
  /// a time before `left` or `right`.
  auto sweep(std::int64_t left, std::int64_t right, std::size_t n) -> std::size_t {
    forget_coming();
    auto& keys = table_->keys();
    std::size_t looked = 0, dropped = 0;
    while (looked < n && dropped < most_dropped && !keys.empty()) {
      // Backwards: the last entry, which moves into an erased one's place, has been looked at.
      if (sweep_at_ == 0 || sweep_at_ > keys.size()) sweep_at_ = keys.size();
      const std::size_t begin = sweep_at_ - std::min({group, n - looked, sweep_at_});
      std::array<std::uint32_t, group> due;
      std::size_t found = 0;
      for (std::size_t i = sweep_at_; i-- > begin;) {
        const auto& lists = keys.at(i).value;
        due[found] = static_cast<std::uint32_t>(i);
        found += static_cast<std::size_t>(lists.left.first_time < left) |
                 static_cast<std::size_t>(lists.right.first_time < right);
      }
      std::size_t going = 0;
      for (std::size_t i = 0; i < found; ++i) going += fetch_due(keys.at(due[i]), keys.size() - 1 - going) ? 1 : 0;
      for (std::size_t i = 0; i < found; ++i) {
        table_->template records<Side::left>().prefetch_next(keys.at(due[i]).value.left);
        table_->template records<Side::right>().prefetch_next(keys.at(due[i]).value.right);
      }
      for (std::size_t i = 0; i < found; ++i) {
        Entry& entry = keys.at(due[i]);
        dropped += drop_front<Side::left>(entry, left);
        dropped += drop_front<Side::right>(entry, right);
        if (dropped >= most_dropped) {
          // Perhaps there is more of this key.
          looked += sweep_at_ - due[i] - 1;
          sweep_at_ = due[i] + 1;
          return looked;
        }
        if (entry.value.empty()) keys.erase_at(due[i]);
      }
      looked += sweep_at_ - begin;
      sweep_at_ = begin;
    }
    return looked;
  }

  plan::OperatorRef op_;
  Fresh<Table> table_;

 private:
  // Drops what is due, or as much as a turn may.
  template <Side side>
  auto drop_front(Entry& entry, std::int64_t before) -> std::size_t {
    RecordList& list = entry.value.template of<side>();
    std::size_t dropped = 0;
    for (; list.first_time < before && dropped < most_dropped; ++dropped)
      table_->template records<side>().erase_first(list);
    return dropped;
  }
  // Of an entry with records that are due: what dropping them will need. If most likely the key goes, returns true;
  // then entry `last` will take its place.
  auto fetch_due(Entry& entry, std::size_t last) -> bool {
    auto& keys = table_->keys();
    const RecordList &left = entry.value.left, &right = entry.value.right;
    if (left.first != left.last) table_->template records<Side::left>().prefetch(left.first);
    if (right.first != right.last) table_->template records<Side::right>().prefetch(right.first);
    if (left.first != left.last || right.first != right.last) return false;
    keys.prefetch_slot(hash_key(entry.key));
    keys.prefetch_slot(hash_key(keys.at(last).key));
    return true;
  }

  // A smaller table lies in the processor's own cache.
  static constexpr std::size_t worth_fetching = 8192;
  // Records that are fetched ahead: so many wait for memory at the same time.
  static constexpr std::size_t entry_ahead = 16, records_ahead = 8, next_ahead = 4;

  template <Side side>
  void expect(std::vector<Owned<RecordOf<side>>>& records) {
    auto& coming = *coming_;
    coming.clear();
    next_coming_ = 0;
    if (table_->keys().size() < worth_fetching) return;
    try {
      for (auto&& record : records) {
        if constexpr (std::same_as<Owned<RecordOf<side>>, bool>) {
          bool copy = record;
          coming.push_back({hash_of_kept<side>(copy), nullptr});
        } else {
          coming.push_back({hash_of_kept<side>(record), nullptr});
        }
      }
    } catch (const LambdaThrew&) {
      // It throws again when it is that record's turn, whose number is then known.
    }
    for (const auto& one : coming) table_->keys().prefetch_slot(one.hash);
    for (std::size_t i = 0; i < std::min(entry_ahead, coming.size()); ++i)
      coming[i].entry = table_->keys().expected(coming[i].hash);
  }
  template <Side side>
  void fetch(std::size_t i) {
    auto& coming = *coming_;
    auto& others = table_->template records<other_side<side>>();
    if (i + entry_ahead < coming.size())
      coming[i + entry_ahead].entry = table_->keys().expected(coming[i + entry_ahead].hash);
    table_->template records<side>().prefetch_place(records_ahead);
    if (i + records_ahead < coming.size()) {
      if (Entry* entry = coming[i + records_ahead].entry) {
        table_->template records<side>().prefetch(entry->value.template of<side>().last);
        others.prefetch(entry->value.template of<other_side<side>>().first);
      }
    }
    if (i + next_ahead < coming.size()) {
      if (Entry* entry = coming[i + next_ahead].entry)
        others.prefetch_next(entry->value.template of<other_side<side>>());
    }
  }
  // Entries move when one is taken out.
  void forget_coming() { coming_->clear(); }

  template <Side side>
  auto hash_of_kept(Owned<RecordOf<side>>& kept) -> std::uint64_t {
    return with_record<RecordOf<side>>(
        kept, [&](const auto& record) { return function<side>().hash(function<side>().key(record)); });
  }

  template <Side side>
  void drop_group() {
    auto& records = table_->template records<side>();
    auto& hashes = *due_hashes_;
    for (const auto number : *due_) records.prefetch(number);
    hashes.clear();
    for (const auto number : *due_) {
      hashes.push_back(hash_of_kept<side>(records.at(number).record));
      table_->keys().prefetch_slot(hashes.back());
    }
    for (const auto hash : hashes) table_->keys().expected(hash);
    for (std::size_t i = 0; i < due_->size(); ++i) drop_one<side>((*due_)[i], hashes[i]);
  }

  template <Side side>
  void drop_one(RecordNumber number, std::uint64_t hash) {
    auto& records = table_->template records<side>();
    with_record<RecordOf<side>>(records.at(number).record, [&](const auto& record) {
      const auto& key = function<side>().key(record);
      Entry* entry = table_->keys().find(key, hash);
      if (entry == nullptr || !records.may_contain(entry->value.template of<side>(), number)) throw_key_changed(*op_);
      auto& list = entry->value.template of<side>();
      // The key goes first: it may be a reference into the record.
      const RecordNumber next = records.at(number).next, previous = records.at(number).previous;
      const bool last_of_key =
          next == no_record && previous == no_record && entry->value.template of<other_side<side>>().empty();
      if (last_of_key) {
        auto gone = std::exchange(list, RecordList{});
        table_->keys().erase(key, hash);
        records.erase(gone, number);
      } else {
        records.erase(list, number);
      }
    });
  }

  [[no_unique_address]] Left left_;
  [[no_unique_address]] Right right_;
  Fresh<std::vector<Found>> coming_;
  std::size_t next_coming_ = 0;
  Fresh<std::vector<std::uint64_t>> due_hashes_;
  Fresh<std::vector<RecordNumber>> due_;
  std::size_t sweep_at_ = 0;  // the entry behind the next one to look at
};

}  // namespace tensair::operators
