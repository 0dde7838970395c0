#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <tensair/operators/key_by.hpp>
#include <tensair/operators/state_map.hpp>
#include <type_traits>
#include <utility>

// The join of records with labels that come later: by key, one label a record, and what waits too long for its partner
// is dropped.
//
// All wait equally long by one clock, so what came first is dropped first: a queue a side, in order of arrival, has all
// deadlines, and no heap is needed. What has met its partner leaves its key's list at once and the queue when its
// deadline comes; a number tells it from what came later with the same key.

namespace tensair::operators {

/// How many records came to nothing, in the figures. While opening.
struct LabelCounters {
  std::shared_ptr<runtime::Counter> records_without_label, labels_without_record;
};
auto count_unmatched(runtime::Node& node, const plan::Operator& op) -> LabelCounters;

/// Emits `Pair{record, label}` when the second of the two has come. Of records with the same key the first gets the
/// first label.
template <class K, class Left, class Right, class Pair, class Next>
class LabelJoinStage : public StageBase<Next> {
  using Record = typename Left::Record;
  using Label = typename Right::Record;

 public:
  static constexpr bool watermark_of_left = false;

  LabelJoinStage(plan::OperatorRef op, Left left, Right right, Duration within, Next next)
      : StageBase<Next>(std::move(next)), op_(op), left_(std::move(left)), right_(std::move(right)), within_(within) {}

  void open(StageContext& context) {
    clock_ = &context.node.clock();
    counters_ = count_unmatched(context.node, *op_);
    this->next_.open(context);
  }

  template <class Stamp>
  void left(Record record, Stamp) {
    const Owned<K> key(left_.function.key(std::as_const(record)));
    const auto hash = left_.function.hash(key);
    if (auto* entry = waiting_->find(key, hash); entry != nullptr && !entry->value.labels.empty()) {
      auto label = take_first(entry->value.labels);
      forget_if_empty(*entry, hash);
      this->next_(Pair{std::move(record), std::move(label)}, Untimed{});
    } else {
      keep(&Waiting::records, *left_queue_, *counters_.records_without_label, key, hash, std::move(record));
    }
  }
  template <class Stamp>
  void right(Label label, Stamp) {
    const Owned<K> key(right_.function.key(std::as_const(label)));
    const auto hash = right_.function.hash(key);
    if (auto* entry = waiting_->find(key, hash); entry != nullptr && !entry->value.records.empty()) {
      auto record = take_first(entry->value.records);
      forget_if_empty(*entry, hash);
      this->next_(Pair{std::move(record), std::move(label)}, Untimed{});
    } else {
      keep(&Waiting::labels, *right_queue_, *counters_.labels_without_record, key, hash, std::move(label));
    }
  }

  void watermark(EventTime) {}
  auto deadline() -> Time {
    Time first = this->next_.deadline();
    if (!left_queue_->empty()) first = std::min(first, left_queue_->front().deadline);
    if (!right_queue_->empty()) first = std::min(first, right_queue_->front().deadline);
    return first;
  }
  void tick(Time now) {
    drop(&Waiting::records, *left_queue_, *counters_.records_without_label, now);
    drop(&Waiting::labels, *right_queue_, *counters_.labels_without_record, now);
    if (this->next_.deadline() <= now) this->next_.tick(now);
  }
  void finish() {
    drop(&Waiting::records, *left_queue_, *counters_.records_without_label, never);
    drop(&Waiting::labels, *right_queue_, *counters_.labels_without_record, never);
    this->next_.finish();
  }

 private:
  template <class T>
  using List = std::deque<std::pair<std::uint64_t, T>>;  // with their numbers
  /// Of one key. Only one of the two has something in it.
  struct Waiting {
    List<Record> records;
    List<Label> labels;
  };
  struct Due {
    Time deadline;
    std::uint64_t number;
    Owned<K> key;
  };
  using Map = StateMap<K, Waiting>;

  template <class T>
  static auto take_first(List<T>& list) -> T {
    auto first = std::move(list.front().second);
    list.pop_front();
    return first;
  }

  template <class T>
  void keep(List<T> Waiting::*side, std::deque<Due>& queue, runtime::Counter& dropped, const Owned<K>& key,
            std::uint64_t hash, T one) {
    if (!(key == key)) {  // not a number: equals nothing
      dropped.add(1);
      return;
    }
    auto& entry = waiting_->find_or_make(key, hash, [] { return Waiting{}; });
    (entry.value.*side).emplace_back(next_number_, std::move(one));
    queue.push_back({clock_->now() + within_, next_number_++, key});
  }

  // Those whose time has come: each is the first of its key's, or has met its partner.
  template <class T>
  void drop(List<T> Waiting::*side, std::deque<Due>& queue, runtime::Counter& dropped, Time now) {
    for (; !queue.empty() && queue.front().deadline <= now; queue.pop_front()) {
      const Due& due = queue.front();
      const auto hash = left_.function.hash(due.key);
      auto* entry = waiting_->find(due.key, hash);
      if (entry == nullptr) continue;
      auto& list = entry->value.*side;
      if (list.empty() || list.front().first != due.number) continue;
      list.pop_front();
      dropped.add(1);
      forget_if_empty(*entry, hash);
    }
  }

  void forget_if_empty(typename Map::Entry& entry, std::uint64_t hash) {
    if (!entry.value.records.empty() || !entry.value.labels.empty()) return;
    const auto key = entry.key;
    waiting_->erase(key, hash);
  }

  plan::OperatorRef op_;
  Left left_;
  Right right_;
  Duration within_;
  const Clock* clock_ = nullptr;
  LabelCounters counters_;
  Fresh<Map> waiting_;
  Fresh<std::deque<Due>> left_queue_, right_queue_;
  std::uint64_t next_number_ = 0;
};

/// The operator before it is bound to the stage behind it.
template <class K, class Left, class Right, class Pair>
struct LabelJoin {
  plan::OperatorRef op;
  Left left;
  Right right;
  Duration within;

  template <class Next>
  auto bind(Next next) && -> LabelJoinStage<K, Left, Right, Pair, Next> {
    return {op, std::move(left), std::move(right), within, std::move(next)};
  }
};

/// Passes records on.
struct PassOn {
  template <class Next>
  auto bind(Next next) && -> Next {
    return next;
  }
};

}  // namespace tensair::operators
