#pragma once

#include <concepts>
#include <memory>
#include <tensair/mistake.hpp>
#include <tensair/operators/lookup.hpp>
#include <tensair/operators/temporal_lookup.hpp>
#include <type_traits>
#include <utility>

namespace tensair {

/// `lookup(table, as_of_event_time, f)`: see `LookupStreams::as_of_event_time`.
struct AsOfEventTime {};
inline constexpr AsOfEventTime as_of_event_time{};

/// A stream that looks up each record's key in a table that another stream keeps up to date: what
/// `stream.key_by(f).lookup(table.key_by(g))` returns. Each record of the table's stream is its key's new row, and
/// replaces the one before.
///
/// Every record of the left stream comes out, once, with its own time; the table's records only change the table. Both
/// are exchanged by key. Without `as_of_event_time` a record sees the row that came last: what is there depends on
/// which came first, the record or the row, and the table's stream needs no event time.
template <class Left, class Table, class Deletes = operators::NeverDeletes, bool AsOf = false>
class LookupStreams {
  using T = typename Left::value_type;
  using Row = typename Table::value_type;

 public:
  LookupStreams(Left left, Table table, Deletes deletes = {})
      : left_(std::move(left)), table_(std::move(table)), deletes_(std::move(deletes)) {}

  /// A record of the table's stream for which `deletes(row)` is true deletes its key's row. (Rows can also have a time
  /// to live: `table.key_by(g).time_to_live(1h)` forgets a row that has not been replaced for so long, by the node's
  /// clock; as of event time, by the times of row and record.)
  ///
  /// @code
  /// orders.key_by(&Order::currency)
  ///     .lookup(rates.key_by(&Rate::currency))
  ///     .delete_when([](const Rate& rate) { return rate.factor == 0; })  // no longer quoted
  ///     .with([](const Order& order, const Rate* rate) { return rate ? double(order.cents) * rate->factor : 0; });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `deletes` throws
  template <class D>
  auto delete_when(D deletes) && {
    static_assert(std::predicate<D&, const Row&>, "delete_when(p): p takes a record of the table and says yes or no");
    return LookupStreams<Left, Table, D, AsOf>(std::move(left_), std::move(table_), std::move(deletes));
  }

  /// A record of time t sees the row that its key had at t: the one with the greatest time that is not after t. It
  /// waits until the watermark, the lesser of both sides', has passed t, so the result is the same however the streams
  /// are mixed and on however many nodes; records come out in the order of their times. Rows are kept until the
  /// watermark has passed the next one of their key. Of rows of one key and time the one that comes later counts.
  ///
  /// Late records are left out and counted. A late row holds for the records that are still to come.
  ///
  /// @code
  /// orders.key_by(&Order::currency)
  ///     .lookup(rates.key_by(&Rate::currency))
  ///     .as_of_event_time()
  ///     .with([](const Order& order, const Rate* rate) { return rate ? double(order.cents) * rate->factor : 0; });
  /// @endcode
  auto as_of_event_time() && {
    return LookupStreams<Left, Table, Deletes, true>(std::move(left_), std::move(table_), std::move(deletes_));
  }

  /// Each record becomes `f(record, row)`: the row is a pointer, valid during the call, and null if there is none.
  ///
  /// @code
  /// clicks.key_by(&Click::user)
  ///     .lookup(profiles.key_by(&Profile::user).time_to_live(24h))
  ///     .with([](const Click& click, const Profile* who) { return std::pair(click.page, who ? who->country : "?"); });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class F>
  auto with(F f) && {
    constexpr bool fits = operators::JoinFunction<F, operators::Unmatched::left, T, Row>;
    static_assert(fits, "with(f): f takes a record and a pointer to a row of the table, null if there is none");
    static_assert(!Left::expires, "a lookup keeps only the table's rows: time_to_live belongs there");
    static_assert(std::movable<Owned<Row>>, "a table keeps its rows: make them movable");
    using K = typename Left::key_type;
    using Stamp = typename Left::Stamp;
    constexpr bool has_time = !AsOf || (Left::timed && Table::timed);
    static_assert(has_time,
                  "a lookup as of event time needs event time on both sides: call assign_timestamps before key_by");
    if constexpr (!fits || !has_time) {
      return detail::Mistake{};
    } else if constexpr (AsOf) {
      left_.refuse_in_loop("a look-up as of event time");
      return join<operators::TemporalLookup, K, Stamp>("lookup_as_of", std::move(f));
    } else {
      return join<operators::Lookup, K, Stamp>("lookup", std::move(f));
    }
  }

 private:
  template <template <class, class, class, class> class Operator, class K, class Stamp, class F>
  auto join(std::string kind, F f) {
    return std::move(left_).template join_with<operators::Unmatched::left, Stamp>(
        std::move(kind), std::move(table_), std::move(f), [&](auto op, auto left, auto table) {
          return Operator<K, decltype(left), decltype(table), Deletes>{std::move(op), std::move(left), std::move(table),
                                                                       std::move(deletes_)};
        });
  }

  Left left_;
  Table table_;
  Deletes deletes_;
};

}  // namespace tensair
