#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <tensair/operators/exchange.hpp>
#include <tensair/operators/key_hash.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/operators/state_map.hpp>
#include <tensair/runtime/task_input.hpp>
#include <utility>
#include <vector>

// Keys. `key_by(f)` sends each record to the instance that keeps its key, as the hash's upper bits say. Operators
// behind it ask `f` again for the key: when they are fused with what is in front,
// nothing is routed and `f` is called once.

namespace tensair {

/// A function from records of type T to keys: a lambda or a pointer to a member. It may return a reference into the
/// record, or a view of it.
template <class F, class T>
concept Keying = std::move_constructible<F> && std::invocable<F&, const T&> &&
    Key<std::remove_cvref_t<std::invoke_result_t<F&, const T&>>>;

namespace operators {

/// State is kept until the stream ends.
struct Forever {};
/// State of a key that has had no record for so long is forgotten.
struct TimeToLive {
  Duration duration;
};

/// A key function with the operator it belongs to (what it throws names that one), and how long a key's state lives.
template <class F, class L = Forever>
struct KeyFunction {
  using Lifetime = L;
  /// Whether nothing can fail with the key of a record of type T.
  template <class T>
  static constexpr bool never_throws = std::is_nothrow_invocable_v<F&, const T&>&& noexcept(
      hash_key(std::declval<std::invoke_result_t<F&, const T&>>()));

  plan::OperatorRef op;
  F f;
  [[no_unique_address]] Lifetime lifetime{};

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

/// A key function with which nothing can fail for records of type T, so that it may be asked before a record's turn.
template <class Function, class T>
concept AskableAhead = requires(Function& function, const T& record) {
  { std::invoke(function.f, record) }
  noexcept;
  { hash_key(std::invoke(function.f, record)) }
  noexcept;
};

/// Tells a record's key and its hash, to see whether that can be done.
template <class F>
struct TellKey {
  F f;

  template <class T>
  void operator()(const T& record) {
    static_cast<void>(hash_key(std::invoke(f, record)));
  }
};

/// To the instance that keeps the record's key.
template <class F>
struct ByKey {
  static constexpr auto reach = runtime::Reach::every_instance;
  static constexpr auto edge = plan::Edge::key;

  KeyFunction<F> function;
  const runtime::KeySlots* slots = nullptr;  // once there is an edge

  void use(const runtime::KeySlots& of_edge) { slots = &of_edge; }
  template <class T>
  auto operator()(const T& record, std::size_t /*receivers*/) -> std::size_t {
    return slots->receiver_of(function.hash(function.key(record)));
  }
};

/// A state and when it was last used.
template <class State>
struct Expiring {
  State state;
  Time used;
};

/// What stages with keyed state build on: one state a key. `Function` is a KeyFunction.
///
/// With a time to live, the clock is read once a turn and 256 records, not once a record; a state is forgotten when it
/// is used again too late, or by a sweep of all states four times in that time, whichever comes first.
template <class K, class Function, class State, class Next>
class KeyedStage : public StageBase<Next> {
 public:
  static constexpr bool expires = std::same_as<typename Function::Lifetime, TimeToLive>;
  using Map = StateMap<K, std::conditional_t<expires, Expiring<State>, State>>;
  using Entry = typename Map::Entry;

  KeyedStage(Function function, Next next) : StageBase<Next>(std::move(next)), function_(std::move(function)) {}

  void open(StageContext& context) {
    if constexpr (expires) {
      clock_ = &context.node.clock();
      now_ = clock_->now();
      next_sweep_ = now_ + lifetime() / 4;
    }
    this->next_.open(context);
  }
  /// A task says which of its chunk's records come next: their states are fetched meanwhile, if they are many. Only
  /// with a key function that says it cannot throw: it is called once more for each record.
  template <class T>
  requires AskableAhead<Function, T>
  void expect(const std::vector<T>& records, std::size_t from, std::size_t to) {
    expect_hashes(from, to, [&](std::size_t i) { return hash_key(std::invoke(function_.f, records[i])); });
  }
  void flush() {
    if constexpr (expires) until_clock_ = 0;  // a record that ends a pause is one of now
    this->next_.flush();
  }
  auto deadline() -> Time {
    if constexpr (expires) {
      if (!states_->empty()) return std::min(next_sweep_, this->next_.deadline());
    }
    return this->next_.deadline();
  }
  void tick(Time now) {
    if constexpr (expires) {
      now_ = now;
      if (next_sweep_ <= now) sweep();
    }
    if (this->next_.deadline() <= now) this->next_.tick(now);
  }

 protected:
  static auto state(Entry& entry) -> State& {
    if constexpr (expires) {
      return entry.value.state;
    } else {
      return entry.value;
    }
  }

  /// The entry of a key; `make()` is the state of a new one.
  template <class Like, class Make>
  auto entry_of_key(const Like& key, Make&& make) -> Entry& {
    if constexpr (expires) {
      if (until_clock_-- == 0) [[unlikely]] {
        read_clock();
        until_clock_ = 255;
      }
      auto& entry = states_->find_or_make(key, function_.hash(key), [&] { return Expiring<State>{make(), now_}; });
      if (entry.value.used + lifetime() <= now_) entry.value.state = make();
      entry.value.used = now_;
      return entry;
    } else {
      return states_->find_or_make(key, function_.hash(key), std::forward<Make>(make));
    }
  }
  /// A key's state, or null if it has none. Looking at it is no use of it: it does not live longer by that.
  template <class Like>
  auto find_state(const Like& key, std::uint64_t hash) -> State* {
    Entry* entry = states_->find(key, hash);
    if (entry == nullptr) return nullptr;
    if constexpr (expires) {
      if (entry->value.used + lifetime() <= now_) return nullptr;
    }
    return &state(*entry);
  }
  /// A key's state becomes `make()`, whether or not it had one. (`make` may move what the key refers to.)
  template <class Like, class Make>
  void replace_state(const Like& key, std::uint64_t hash, Make&& make) {
    if (Entry* entry = states_->find(key, hash)) {
      state(*entry) = make();
      if constexpr (expires) entry->value.used = now_;
    } else if constexpr (expires) {
      states_->find_or_make(key, hash, [&] { return Expiring<State>{make(), now_}; });
    } else {
      states_->find_or_make(key, hash, std::forward<Make>(make));
    }
  }
  /// Fetches the states of the keys whose hashes are `hash_of(from)` to `hash_of(to - 1)`: first all slots, then what
  /// they refer to, so that all wait for memory together. States that are near the processor anyhow are not.
  /// Precondition: to - from <= runtime::expected_at_once
  template <class HashOf>
  void expect_hashes(std::size_t from, std::size_t to, HashOf hash_of) {
    if (states_->size() * sizeof(Entry) <= near_the_processor) return;
    std::array<std::uint64_t, runtime::expected_at_once> hashes;
    for (std::size_t i = from; i < to; ++i) states_->prefetch_slot(hashes[i - from] = hash_of(i));
    for (std::size_t i = from; i < to; ++i) states_->expected(hashes[i - from]);
  }
  /// For what comes next the time is that of the node's clock.
  void read_clock() {
    if constexpr (expires) now_ = clock_->now();
  }

  /// The entry of the record's key.
  template <class T, class Make>
  auto entry_of(const T& record, Make&& make) -> Entry& {
    const auto& key = function_.key(record);
    return entry_of_key(key, std::forward<Make>(make));
  }

  Function function_;
  Fresh<Map> states_;

 private:
  auto lifetime() const -> Duration { return function_.lifetime.duration; }

  void sweep() {
    next_sweep_ = now_ + lifetime() / 4;
    // Backwards: the last entry moves into an erased one's place.
    for (std::size_t i = states_->size(); i-- > 0;) {
      auto& entry = states_->at(i);
      if (entry.value.used + lifetime() > now_) continue;
      const auto key = entry.key;
      states_->erase(key, hash_key(key));
    }
  }

  const Clock* clock_ = nullptr;
  Time now_{}, next_sweep_ = never;
  std::uint32_t until_clock_ = 0;  // records until it is read again
};

}  // namespace operators
}  // namespace tensair
