#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <tensair/io/progress.hpp>

namespace tensair {
namespace {

constexpr auto bar_interval = std::chrono::milliseconds{100};
constexpr auto line_interval = std::chrono::seconds{5};
constexpr double fading = 0.02;  // the last 50 steps or so
constexpr int bar_width = 24;

auto on_terminal() -> bool {
  return isatty(STDERR_FILENO) == 1 || std::getenv("TENSAIR_TERMINAL") != nullptr;
}

auto duration_text(double seconds) -> std::string {
  const auto whole = static_cast<long>(seconds + 0.5);
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace

struct Progress::State {
  ProgressOptions options;
  const Clock* clock = nullptr;
  bool terminal = false, shown = false;
  Time start{}, last_shown{};
  std::uint64_t examples = 0, steps = 0, staleness = 0;
  double loss = 0, accuracy = 0;

  void show(Time now) {
    const double seconds = std::chrono::duration<double>(now - start).count();
    const double rate = seconds > 0 ? static_cast<double>(examples) / seconds : 0;
    std::string text;
    if (options.total > 0 && terminal) {
      const auto filled =
          static_cast<int>(static_cast<double>(bar_width) *
                           std::min(1.0, static_cast<double>(examples) / static_cast<double>(options.total)));
      text = fmt::format("[{:<{}}] ", std::string(static_cast<std::size_t>(filled), '='), bar_width);
    }
    text += options.total > 0 ? fmt::format("{}/{} {}", examples, options.total, options.unit)
                              : fmt::format("{} {}", examples, options.unit);
    text +=
        fmt::format("  {:.0f}/s  loss {:.3f}  accuracy {:.1f} %  staleness {}", rate, loss, 100 * accuracy, staleness);
    if (options.total > examples && rate > 0) {
      text += fmt::format("  {} left", duration_text(static_cast<double>(options.total - examples) / rate));
    }
    const auto line =
        terminal ? "\r" + text + "\x1b[K" : text + "\n";  // to the line's start, and clear what is left behind the text
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
    shown = true;
    last_shown = now;
  }
};

Progress::Progress(ProgressOptions options) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
}
Progress::Progress(Progress&&) noexcept = default;
auto Progress::operator=(Progress&&) noexcept -> Progress& = default;
Progress::~Progress() = default;

void Progress::open(runtime::Node& node) {
  state_->clock = &node.clock();
  state_->options.quiet = state_->options.quiet || node.quiet();
  state_->terminal = on_terminal();
  state_->start = state_->last_shown = node.clock().now();
}

void Progress::operator()(const TrainStep& step) {
  auto& state = *state_;
  if (state.steps++ == 0) {
    state.loss = step.score.loss;
    state.accuracy = step.score.accuracy();
    // Making the modules and connecting is not training.
    state.start = state.last_shown = state.clock->now();
  }
  state.loss += fading * (step.score.loss - state.loss);
  state.accuracy += fading * (step.score.accuracy() - state.accuracy);
  state.examples += step.score.examples;
  state.staleness = step.staleness;
  if (state.options.quiet) return;
  const Time now = state.clock->now();
  if (now - state.last_shown >= (state.terminal ? Duration{bar_interval} : Duration{line_interval})) state.show(now);
}

void Progress::finish() {
  if (state_->options.quiet || state_->steps == 0) return;
  state_->show(state_->clock->now());
  if (state_->terminal) fmt::print(stderr, "\n");
}

}  // namespace tensair
