#pragma once

#include <functional>
#include <memory>
#include <tensair/operators/exchange.hpp>
#include <tensair/operators/key_hash.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/operators/state_map.hpp>
#include <utility>

// Keys. `key_by(f)` sends each record to the instance that keeps its key: the hash's upper 32 bits, scaled to the
// number of instances. Operators behind it ask `f` again for the key: when they are fused with what is in front,
// nothing is routed and `f` is called once.

namespace tensair {

/// A function from records of type T to keys: a lambda or a pointer to a member. It may return a reference into the
/// record, or a view of it.
template <class F, class T>
concept Keying = std::move_constructible<F> && std::invocable<F&, const T&> &&
    Key<std::remove_cvref_t<std::invoke_result_t<F&, const T&>>>;

namespace operators {

/// A key function with the operator it belongs to: what it throws names that one.
template <class F>
struct KeyFunction {
  std::shared_ptr<plan::Operator> op;
  F f;

  template <class T>
  auto key(const T& record) -> decltype(auto) {
    return call(op, f, record);
  }
  template <class K>
  auto hash(const K& key) const -> std::uint64_t {
    constexpr auto hash_of = [](const K& one) noexcept(noexcept(hash_key(one))) { return hash_key(one); };
    return call(op, hash_of, key);
  }
};

/// To the instance that keeps the record's key.
template <class F>
struct ByKey {
  static constexpr auto reach = runtime::Reach::every_instance;
  static constexpr auto edge = plan::Edge::key;

  KeyFunction<F> function;

  template <class T>
  auto operator()(const T& record, std::size_t receivers) -> std::size_t {
    const std::uint64_t hash = function.hash(function.key(record));
    return static_cast<std::size_t>(((hash >> 32) * receivers) >> 32);
  }
};

/// What stages with keyed state build on: one state a key.
template <class K, class F, class State, class Next>
class KeyedStage : public StageBase<Next> {
 public:
  using Map = StateMap<K, State>;

  KeyedStage(KeyFunction<F> function, Next next) : StageBase<Next>(std::move(next)), function_(std::move(function)) {}

 protected:
  /// The entry of the record's key; `make()` is the state of a new one.
  template <class T, class Make>
  auto entry_of(const T& record, Make&& make) -> typename Map::Entry& {
    const auto& key = function_.key(record);
    return states_->find_or_make(key, function_.hash(key), std::forward<Make>(make));
  }

  KeyFunction<F> function_;
  Fresh<Map> states_;
};

}  // namespace operators
}  // namespace tensair
