#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tensair/model/results.hpp>
#include <tensair/runtime/node.hpp>

namespace tensair {

/// What a progress display needs to know.
struct ProgressOptions {
  std::uint64_t total = 0;      ///< examples in all, for the time left; 0: unknown
  std::string unit = "images";  ///< what an example is called
  bool quiet = false;           ///< show nothing; `--quiet` says the same
};

/// A sink for training steps that shows how training goes, on standard error of node 0: examples a second, loss and
/// accuracy on what the model had not yet trained on (both fading over the last steps), staleness, time left. On a
/// terminal it is a bar that stays on its line, else a line every 5 s.
///
/// @code
/// examples_of_flowers.batch(32).model(net).train().sink(tensair::progress({.total = 150'000, .unit = "flowers"}));
/// @endcode
class Progress {
 public:
  explicit Progress(ProgressOptions options = {});
  Progress(Progress&&) noexcept;
  auto operator=(Progress&&) noexcept -> Progress&;
  ~Progress();

  void open(runtime::Node& node);
  void operator()(const TrainStep& step);
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// @see Progress
inline auto progress(ProgressOptions options = {}) -> Progress {
  return Progress(std::move(options));
}

}  // namespace tensair
