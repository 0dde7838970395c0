#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <tensair/key_value.hpp>
#include <tensair/operators/owned.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/operators/window_result.hpp>
#include <type_traits>
#include <utility>

// Failures that belong to no record: a window's function at the window's end, a process function at a timer.
//
// The stage that calls a user's function with each record need not care for what that throws: whoever stands in front
// of it does (on_error.hpp). But where the function is called because time has gone on, nobody stands there, and a
// stage that many keys are due in must go on with the next one. So it catches what its own function throws, says what
// that was called for, and asks the handler that `on_error` has put into the StageContext. It must not ask for what
// comes from behind: it knows by itself whether it was calling its function or the next stage.

namespace tensair::operators {

/// What `on_error` has said of an operator, for that operator and for the stage behind it.
class FailureHandler {
 public:
  virtual ~FailureHandler() = default;
  /// Nothing can fail any more.
  virtual void finish() = 0;
  /// Whether it cannot take more for now.
  virtual auto blocked() -> bool = 0;
};

/// Its part that takes failures of one kind.
template <class Failed>
class FailureHandlerOf {
 public:
  virtual ~FailureHandlerOf() = default;
  /// False: it can do nothing with them, and the pipeline stops.
  virtual auto handle(const Failed& failed, const char* error) -> bool = 0;
};

/// The kinds of failures that an operator has apart from records: its member type `Failed`.
template <class... Failed>
struct Fails {};

/// What an operator has that fails on something else than a record which has just come.
template <class Failed>
class Failures {
 public:
  void open(StageContext& context) { handler_ = dynamic_cast<FailureHandlerOf<Failed>*>(context.failures); }

  /// In a catch block: what the operator's function has thrown is dealt with, or thrown on.
  /// @param place  what it was called for, for people to read
  template <class Place>
  [[gnu::cold, gnu::noinline]] void handle(const Failed& failed, Place place) const {
    try {
      throw;
    } catch (const LambdaThrew& threw) {
      if (handler_ == nullptr) throw LambdaThrew(threw.operator_title(), threw.what(), place());
      if (handler_->handle(failed, threw.what())) return;
      throw LambdaThrew(threw.operator_title(),
                        std::string(threw.what()) + "; dead_letter<T> has a T that cannot hold it", place());
    } catch (const Error& error) {
      if (handler_ == nullptr || !handler_->handle(failed, error.what())) throw;
    }
  }

 private:
  FailureHandlerOf<Failed>* handler_ = nullptr;
};

/// Whether and how a state becomes the value of a dead letter: as it is, or element by element.
template <class V, class State>
concept KeptAs = std::convertible_to<const State&, V> || requires(const State& state) {
  V(state.begin(), state.end());
};
template <class V, class State>
auto keep_as(const State& state) -> V {
  if constexpr (std::convertible_to<const State&, V>) {
    return state;
  } else {
    return V(state.begin(), state.end());
  }
}

/// A key and window on which a window's function failed, and what had been added up. Valid during the call.
template <class K, class State>
struct FailedWindow {
  const Owned<K>& key;
  const Window& window;
  const State& state;

  template <class A, class V>
  requires(std::constructible_from<A, const Owned<K>&>&& KeptAs<V, State>) operator WindowResult<A, V>() const {
    return {A(key), window, keep_as<V>(state)};
  }
};

/// The same where there is no stretch of time: in windows of numbers of records, and at the end of the stream.
template <class K, class State>
struct FailedKey {
  const Owned<K>& key;
  const State& state;

  template <class A, class V>
  requires(std::constructible_from<A, const Owned<K>&>&& KeptAs<V, State>) operator KeyValue<A, V>() const {
    return {A(key), keep_as<V>(state)};
  }
};

auto key_text(std::string_view key) -> std::string;
/// "window from 2026-01-01 00:00:00 to 2026-01-01 00:01:00"
auto window_text(const Window& window) -> std::string;
/// "timer for 2026-01-01 00:00:00"
auto timer_text(EventTime time) -> std::string;

/// A key for people to read: "key 3", or "a key" if that is no number and no text.
template <class K>
auto text_of_key(const K& key) -> std::string {
  if constexpr (std::convertible_to<const K&, std::string_view>) {
    return key_text(key);
  } else if constexpr (std::is_arithmetic_v<K>) {
    return "key " + std::to_string(key);
  } else if constexpr (std::same_as<K, AllKeys>) {
    return "all keys";
  } else {
    return "a key";
  }
}

}  // namespace tensair::operators
