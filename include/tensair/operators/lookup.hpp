#pragma once

#include <concepts>
#include <memory>
#include <tensair/operators/join_stage.hpp>
#include <tensair/operators/key_by.hpp>
#include <tensair/operators/matched.hpp>
#include <utility>
#include <vector>

namespace tensair::operators {

/// No record of a table deletes its row.
struct NeverDeletes {
  template <class Row>
  constexpr auto operator()(const Row&) const noexcept -> bool {
    return false;
  }
};

/// The stage of a look-up by arrival: the table's records (right) replace each other by key, a stream's (left) see the
/// one that came last.
template <class K, class Left, class Table, class Deletes, class Next>
class LookupStage : public KeyedStage<K, typename Table::Function, Owned<typename Table::Record>, Next> {
  using Base = KeyedStage<K, typename Table::Function, Owned<typename Table::Record>, Next>;
  using L = typename Left::Record;
  using Row = typename Table::Record;

 public:
  /// Rows have no influence on the time of what comes out.
  static constexpr bool watermark_of_left = true;

  LookupStage(plan::OperatorRef op, Left left, Table table, Deletes deletes, Next next)
      : Base(std::move(table.function), std::move(next)),
        op_(op),
        left_(std::move(left)),
        deletes_(std::move(deletes)) {}

  void expect_left(const std::vector<Owned<L>>&) { this->read_clock(); }
  void expect_right(const std::vector<Owned<Row>>&) { this->read_clock(); }

  template <class Stamp>
  void left(const L& record, Stamp stamp) {
    const auto& key = left_.function.key(record);
    Owned<Row>* kept = this->find_state(key, left_.function.hash(key));
    if (kept == nullptr) {
      this->next_(Matched<L, Row>{&record, nullptr}, stamp);
    } else {
      with_record<Row>(*kept, [&](const Row& row) { this->next_(Matched<L, Row>{&record, &row}, stamp); });
    }
  }

  template <class T, class Stamp>
  void right(T&& record, Stamp) {
    const auto& key = this->function_.key(std::as_const(record));
    if (!(key == key)) return;  // not a number: equals nothing
    const auto hash = this->function_.hash(key);
    if (call(op_, deletes_, std::as_const(record))) {
      this->states_->erase(key, hash);
    } else {
      this->replace_state(key, hash, [&] { return OwnedRecord<Row>::own(std::forward<T>(record)); });
    }
  }

  void finish() {
    this->states_->clear();
    this->next_.finish();
  }

 private:
  plan::OperatorRef op_;
  [[no_unique_address]] Left left_;
  [[no_unique_address]] Deletes deletes_;
};

/// The operator before it is bound to the stage behind it.
template <class K, class Left, class Table, class Deletes>
struct Lookup {
  plan::OperatorRef op;
  Left left;
  Table table;
  Deletes deletes;

  template <class Next>
  auto bind(Next next) && -> LookupStage<K, Left, Table, Deletes, Next> {
    return {op, std::move(left), std::move(table), std::move(deletes), std::move(next)};
  }
};

}  // namespace tensair::operators
