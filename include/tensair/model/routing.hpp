#pragma once

#include <ATen/core/Tensor.h>

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <tensair/operators/key_hash.hpp>
#include <utility>

// Which replica gets a batch. Each is an argument of train, evaluate and predict.

namespace tensair {

/// The mean of several outputs for the same inputs.
auto mean_output(std::span<const at::Tensor> outputs) -> at::Tensor;

namespace routing {

/// How batches find their replica, whatever their records are.
enum class Kind : std::uint8_t { room, in_turn, by_key, all };

struct Room {
  static constexpr auto kind = Kind::room;
};
struct InTurn {
  static constexpr auto kind = Kind::in_turn;
};
template <class F>
struct ByKey {
  static constexpr auto kind = Kind::by_key;
  F f;
};
template <class Combine>
struct All {
  static constexpr auto kind = Kind::all;
  Combine combine;

  template <std::invocable<std::span<const at::Tensor>> Other>
  constexpr auto operator()(Other other) const -> All<Other> {
    return {std::move(other)};
  }
};

template <class R>
concept Routing = requires {
  { R::kind } -> std::convertible_to<Kind>;
};

/// To a replica that has room, this node's own first; a slow one gets fewer, and nobody waits for it. What a model does
/// without a word.
inline constexpr Room room{};

/// To one replica after the other, each node's stream beginning with another one: all get equally many, so a slow one
/// slows the stream.
///
/// @code
/// examples_of_flowers.batch(32).model(net).train(tensair::routing::in_turn);
/// @endcode
inline constexpr InTurn in_turn{};

/// To the replica that `f(record)`, a key with a hash, belongs to: the same for equal keys, on all nodes. `f` takes
/// what the stream carries: a record, or a `Batch` of them. It waits for that replica.
///
/// @code
/// queries.model(net).predict({}, tensair::routing::by_key([](const at::Tensor& one) { return one.size(0); }));
/// @endcode
template <class F>
auto by_key(F f) -> ByKey<F> {
  return {std::move(f)};
}

/// To every replica: an ensemble. Of a prediction, the outputs are combined by their mean, or by what `all(combine)` is
/// given: `combine(std::span<const at::Tensor>)` of one output a replica, in order of replica, returns what is answered
/// for the batch. A batch to learn from is learnt by each, so such a model has `exchange::none`.
///
/// @code
/// const auto vote = [](std::span<const at::Tensor> outputs) {  // the class that most replicas say
///   return std::get<0>(torch::stack(std::vector(outputs.begin(), outputs.end())).argmax(-1).mode(0));
/// };
/// queries.model(net).predict({}, tensair::routing::all(vote)).sink(print);
/// @endcode
inline constexpr auto all = All<decltype(&mean_output)>{&mean_output};

auto to_string(Kind kind) -> std::string;

/// A key's hash, for batches that go by key.
template <Routing R, class T>
auto hash_of(R& routing, const T& record) -> std::uint64_t {
  if constexpr (R::kind == Kind::by_key) {
    return hash_key(routing.f(record));
  } else {
    return 0;
  }
}

}  // namespace routing
}  // namespace tensair
