#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tensair/drift/any_detector.hpp>
#include <tensair/model/mode.hpp>

namespace tensair {

/// What a model's detector is given.
enum class Watched : std::uint8_t {
  losses,  ///< of each batch its mean loss, from before it is trained on
  errors,  ///< of each example 0 if the model's class is the true one and 1 if not, from before it is trained on.
           ///< Outputs and targets must be such as `class_outcomes` takes. `evaluate` knows them anyway; with `train`
           ///< it costs a forward pass more
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"  // g++ 12 takes an enumerator for a variable that hides a name outside
/// What a model does when its detector says that the stream has changed. It also trains again, if it does not.
enum class OnDrift : std::uint8_t {
  keep,             ///< nothing else: it goes on from the weights that it has
  reset_optimizer,  ///< the optimiser and the learning rate's schedule begin anew, the weights stay
  reset,            ///< the weights begin anew too, with what the factory makes
  from_buffer,      ///< so they do, and are first trained on the batches that have come since the warning (Gama et al.,
                    ///< "Learning with drift detection", SBIA 2004); without a warning there are none
  challenge,        ///< the model goes on as it is, and a second one is trained beside it: see `ChallengerOptions`
};

/// Why a decision was made.
enum class Why : std::uint8_t {
  detector,   ///< the detector said so
  faded,      ///< it has said nothing for a while
  converged,  ///< the loss falls no further
  won,        ///< the challenger is better, by the test
  lost,       ///< it is worse
  undecided,  ///< it has had its time
  command,    ///< somebody set the mode
};

/// What was decided.
enum class Deed : std::uint8_t {
  warn,                ///< the stream may be changing
  calm,                ///< the warning has passed
  drift,               ///< the stream has changed
  train,               ///< training begins
  rest,                ///< training ends
  reset_optimizer,     ///< optimiser and schedule begin anew
  reset_weights,       ///< the weights begin anew, and the optimiser
  replay,              ///< the batches that have come since the warning are trained on
  start_challenger,    ///< a challenger is trained from here on
  promote_challenger,  ///< its weights, and its optimiser's state, become the model's
  drop_challenger,     ///< it is given up
};
#pragma GCC diagnostic pop

/// "warn", "start_challenger" and so on.
auto to_string(Deed deed) -> std::string_view;
auto to_string(Why why) -> std::string_view;

/// The second model of `OnDrift::challenge`, which is there from a warning (or a drift without one) on. It is trained
/// on the same batches, but tested on each of them first, as the model is; the model answers predictions meanwhile. A
/// sign test compares the two: of the examples that one of them gets right and the other wrong (of losses: the batches)
/// the challenger must have more. The test may be looked at after every example: it is the one of power one whose
/// evidence is a mixture of likelihood ratios (Robbins, "Statistical methods related to the law of the iterated
/// logarithm", 1970), so the chance that a challenger that is not better is ever promoted is at most `level`.
///
/// It is dropped if it is worse by the same test, if the warning fades without a drift, or after so many examples. If
/// there was a drift then, the model goes on as with `OnDrift::keep`. It takes the memory of one more model and its
/// optimiser, and a training step's time for each batch. Replicas' challengers exchange what they learn, as updates.
struct ChallengerOptions {
  bool fresh = false;              ///< begin with what the factory makes; else with a copy of the model's weights
  double level = 0.01;             ///< above 0, below 1
  std::uint64_t examples = 5'000;  ///< how long it may take
};

/// `Mode::automatic`, by a detector: trains until the loss falls no further, then only predicts, and trains again when
/// the detector says that the stream has changed. What to do about that is for you to say.
///
/// All replicas' outcomes are put into one order, in which every node's copy of the detector is given them; so all
/// nodes come to the same decisions, and nobody is asked. If all batches come from one stream on one node, that order
/// is the stream's: then the same outcomes lead to the same decisions, whatever the number of replicas and nodes, their
/// speed and the routing. If there are several such nodes or streams, batches have no order of their own, and one is
/// agreed upon. A decision holds from the same batch of that order on, at every replica. For that no replica begins a
/// batch more than `lag` ahead of the first one whose outcome has not come yet, but waits.
///
/// @code
/// net.mode(tensair::Automatic{.detector = tensair::ddm{},
///                             .watched = tensair::Watched::errors,
///                             .on_drift = tensair::OnDrift::reset_optimizer});
/// examples_of_flowers.batch(32).model(net).evaluate();
/// net.decisions().sink([](const tensair::Decision& one) {
///   std::printf("replica %d: %s from batch %lu on\n", one.replica, tensair::to_string(one.deed).data(), one.from);
/// });
/// @endcode
struct Automatic {
  drift::AnyDetector detector{};  ///< `optwin{}`, say; it must be given
  Watched watched = Watched::losses;
  bool while_training = true;  ///< whether the detector watches while the model trains, too. It begins anew where
                               ///< training ends
  bool rests = true;           ///< whether training ends when the loss falls no further
  Convergence convergence{};   ///< when that is, by all replicas' batches together; `rise` and `drift` are not used
  OnDrift on_drift = OnDrift::keep;
  std::size_t buffer = 256;  ///< `from_buffer`: batches that a replica keeps, the latest
  std::size_t fades_after =
      100;  ///< a warning has faded when the detector has said nothing of so many values; at least 1
  ChallengerOptions challenger{};
  std::optional<std::size_t> lag{};  ///< batches between the one that led to a decision and the first it holds for.
                                     ///< With less than two for each replica they wait for each other. If it is not
                                     ///< given, 4 times the replicas but one: none for one replica
};

/// A decision that a replica obeys: what `net.decisions()` emits, for each replica in order.
struct Decision {
  Deed deed = Deed::train;
  Why why = Why::detector;
  std::uint64_t number = 0;   ///< from 1; the same at all replicas
  std::uint64_t batch = 0;    ///< the batch that led to it, in the common order, from 0
  std::uint64_t example = 0;  ///< how many examples there had been by then
  std::uint64_t from = 0;     ///< the first batch for which it holds, at every replica
  double statistic = 0;       ///< of the detector's test; of a challenger the logarithm of the evidence for it
  std::int32_t replica = 0;   ///< who obeys,
  std::int32_t node = 0;      ///< on which node,
  std::uint64_t step = 0;     ///< after so many steps of its own
};

}  // namespace tensair
