#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <tensair/operators/expiry.hpp>
#include <tensair/operators/interval_join.hpp>
#include <tensair/operators/lookup.hpp>
#include <tensair/operators/process.hpp>
#include <tensair/operators/state_map.hpp>
#include <tensair/operators/watermark_relay.hpp>
#include <utility>
#include <vector>

// A look-up as of event time: a record of time t sees the row that its key had at t, whatever came when.
//
// So a record waits until the watermark has passed its time: then all rows up to t are there. Records that wait lie in
// one heap by time, over all keys, and come out in the order of their times. A row is kept until the watermark has
// passed the time of the next one of its key, because no record that is still to come can see it then. A key has a
// timer while it has a row that will be given up.

namespace tensair::operators {

/// A row as it was from a time on; nothing, if it was deleted then.
template <class Row>
struct RowVersion {
  EventTime time;
  std::optional<Row> row;
};

/// The stage of a look-up as of event time.
template <class K, class Left, class Table, class Deletes, class Next>
class TemporalLookupStage : public StageBase<Next> {
  using L = typename Left::Record;
  using Row = typename Table::Record;
  using Version = RowVersion<Owned<Row>>;
  static constexpr bool expires = std::same_as<typename Table::Function::Lifetime, TimeToLive>;

 public:
  static constexpr bool watermark_of_left = false;

  TemporalLookupStage(plan::OperatorRef op, Left left, Table table, Deletes deletes, Next next)
      : StageBase<Next>(std::move(next)),
        op_(op),
        left_(std::move(left)),
        table_(std::move(table)),
        deletes_(std::move(deletes)) {}

  void open(StageContext& context) {
    late_ = count_late(context.node, *op_);
    this->next_.open(context);
  }

  template <class T>
  void left(T&& record, EventTime time) {
    if (time < watermark_) {
      late_->add(1);
      return;
    }
    waiting_->push_back({time, arrived_++, OwnedRecord<L>::own(std::forward<T>(record))});
    std::push_heap(waiting_->begin(), waiting_->end(), later);
  }

  // A row that is late still holds for what comes after it.
  template <class T>
  void right(T&& record, EventTime time) {
    const auto& key = table_.function.key(std::as_const(record));
    if (!(key == key)) return;  // not a number: equals nothing
    const bool deleted = call(op_, deletes_, std::as_const(record));
    auto& entry = keys_->find_or_make(key, table_.function.hash(key), [] { return Versions{}; });
    auto& versions = entry.value.versions;
    auto at = versions.end();
    while (at != versions.begin() && std::prev(at)->time >= time) --at;
    if (at == versions.end() || at->time != time) at = versions.insert(at, Version{time, std::nullopt});
    at->row.reset();
    if (!deleted) at->row.emplace(OwnedRecord<Row>::own(std::forward<T>(record)));
    set_timer(entry);
  }

  void watermark(EventTime time) {
    watermark_ = time;
    relay_.heard();
    advance();
  }
  void idle() {
    relay_.idle();
    if (!firing_) relay_.pass_on(watermark_, this->next_);
  }
  void flush() {
    this->next_.flush();
    if (!firing_) return;
    advance();
    this->next_.flush();
  }
  void finish() {
    finishing_ = true;
    watermark_ = end_of_time;
    advance();
  }
  auto blocked() -> bool { return firing_ || this->next_.blocked(); }

 private:
  struct Versions {
    std::vector<Version> versions{};  // by time
    EventTime timer = end_of_time;
  };
  using Entry = typename StateMap<K, Versions>::Entry;
  struct Waiting {
    EventTime time;
    std::uint64_t number;  // records of one time stay in order
    Owned<L> record;
  };
  static auto later(const Waiting& a, const Waiting& b) -> bool {
    return std::pair(b.time, b.number) < std::pair(a.time, a.number);
  }

  // When a row is no longer valid because it is too old.
  auto end_of(const Version& version) const -> EventTime {
    if constexpr (expires) {
      const auto lifetime = std::chrono::ceil<EventTime::duration>(table_.function.lifetime.duration);
      return EventTime{EventTime::duration{add_saturated(version.time.time_since_epoch().count(), lifetime.count())}};
    } else {
      return end_of_time;
    }
  }

  // The row that a key had at a time, or null.
  auto row_at(Versions& of, EventTime time) -> Owned<Row>* {
    const auto after = std::upper_bound(of.versions.begin(), of.versions.end(), time,
                                        [](EventTime t, const Version& version) { return t < version.time; });
    if (after == of.versions.begin()) return nullptr;
    auto& version = *std::prev(after);
    return version.row && time < end_of(version) ? &*version.row : nullptr;
  }

  void advance() {
    firing_ = true;
    while (!waiting_->empty() && (waiting_->front().time < watermark_ || watermark_ == end_of_time)) {
      if (this->next_.blocked()) return;
      std::pop_heap(waiting_->begin(), waiting_->end(), later);
      Waiting one = std::move(waiting_->back());
      waiting_->pop_back();
      with_record<L>(one.record, [&](const L& record) { emit(record, one.time); });
    }
    firing_ = false;
    give_up_rows();
    relay_.pass_on(watermark_, this->next_);
    if (finishing_ && !std::exchange(ended_, true)) this->next_.finish();
  }

  void emit(const L& record, EventTime time) {
    const auto& key = left_.function.key(record);
    Entry* entry = keys_->find(key, left_.function.hash(key));
    Owned<Row>* kept = entry == nullptr ? nullptr : row_at(entry->value, time);
    if (kept == nullptr) {
      this->next_(Matched<L, Row>{&record, nullptr}, time);
    } else {
      with_record<Row>(*kept, [&](const Row& row) { this->next_(Matched<L, Row>{&record, &row}, time); });
    }
  }

  // When the key's oldest row can be given up.
  auto due_of(const Versions& of) const -> EventTime {
    const auto& oldest = of.versions.front();
    EventTime due = oldest.row ? end_of(oldest) : oldest.time;
    if (of.versions.size() > 1) due = std::min(due, of.versions[1].time);
    return due;
  }
  void set_timer(Entry& entry) {
    const EventTime due = due_of(entry.value);
    if (due >= entry.value.timer) return;
    entry.value.timer = due;
    timers_->add(due, entry.key);
  }

  void give_up_rows() {
    if (watermark_ == end_of_time) {
      keys_->clear();
      return;
    }
    while (timers_->due(watermark_)) {
      const auto timer = timers_->take();
      const auto hash = table_.function.hash(timer.key);
      Entry* entry = keys_->find(timer.key, hash);
      if (entry == nullptr || entry->value.timer != timer.time) continue;  // an earlier one did it
      auto& versions = entry->value.versions;
      std::size_t gone = 0;
      while (gone < versions.size() && is_gone(versions, gone)) ++gone;
      versions.erase(versions.begin(), versions.begin() + static_cast<std::ptrdiff_t>(gone));
      if (versions.empty()) {
        keys_->erase(timer.key, hash);
        continue;
      }
      entry->value.timer = end_of_time;
      set_timer(*entry);
    }
  }
  // Whether nothing that is still to come can see the oldest rows up to this one.
  auto is_gone(const std::vector<Version>& versions, std::size_t i) const -> bool {
    if (i + 1 < versions.size() && versions[i + 1].time <= watermark_) return true;
    return versions[i].row ? end_of(versions[i]) <= watermark_ : versions[i].time <= watermark_;
  }

  plan::OperatorRef op_;
  [[no_unique_address]] Left left_;
  [[no_unique_address]] Table table_;
  [[no_unique_address]] Deletes deletes_;
  Fresh<StateMap<K, Versions>> keys_;
  Fresh<Timers<EventTime, K>> timers_;
  Fresh<std::vector<Waiting>> waiting_;  // a heap, earliest first
  std::uint64_t arrived_ = 0;
  std::shared_ptr<runtime::Counter> late_;
  EventTime watermark_ = beginning_of_time;
  WatermarkRelay relay_;
  bool firing_ = false, finishing_ = false, ended_ = false;
};

/// The operator before it is bound to the stage behind it.
template <class K, class Left, class Table, class Deletes>
struct TemporalLookup {
  plan::OperatorRef op;
  Left left;
  Table table;
  Deletes deletes;

  template <class Next>
  auto bind(Next next) && -> TemporalLookupStage<K, Left, Table, Deletes, Next> {
    return {op, std::move(left), std::move(table), std::move(deletes), std::move(next)};
  }
};

}  // namespace tensair::operators
