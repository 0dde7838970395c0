#include "report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <tensair/error.hpp>
#include <utility>

#include "plot.hpp"

namespace sentiment {
namespace {

constexpr auto show_every = std::chrono::milliseconds{100};  // on a terminal
constexpr std::uint64_t line_every = 2'500;                  // tweets, elsewhere

/// A number, or null: JSON has none for NaN.
auto number(double value) -> std::string {
  return std::isfinite(value) ? fmt::format("{:.4f}", value) : "null";
}

}  // namespace

void Report::begin(Settings settings) {
  settings_ = std::move(settings);
  training_ = settings_.training;
  terminal_ = ::isatty(STDERR_FILENO) == 1 || std::getenv("TENSAIR_TERMINAL") != nullptr;
}

void Report::seen(std::uint64_t tweets) {
  const std::lock_guard lock{mutex_};
  last_ = Clock::now();
  tweets_ += tweets;
  if (!first_) {  // the first batch began before the clock did
    first_ = last_;
    first_tweets_ = tweets;
  }
}

void Report::measured(const tensair::Measurement& one) {
  const std::lock_guard lock{mutex_};
  if (one.name == "kappa") {
    kappa_ = one.value;
  } else if (one.name == "accuracy") {
    accuracy_ = one.value;
    const auto right = static_cast<std::uint64_t>(std::llround(one.value * static_cast<double>(one.index)));
    if (right_.empty() || one.index > right_.back().first) right_.emplace_back(one.index, right);
  } else {
    recent_ = one.value;
    const bool is_new = one.index > measured_;  // the last ones are told at the end, too
    measured_ = one.index;
    if (is_new && one.index >= window) accuracies_.emplace_back(one.index, one.value);
    if (is_new) show();
  }
}

void Report::drifted(std::uint64_t index, const char* what) {
  const std::lock_guard lock{mutex_};
  drifts_.push_back({index, what});
  print(fmt::format("tweet {}  {}: {} changed", index, settings_.detector, what));
}

void Report::decided(const tensair::Decision& one) {
  using tensair::Deed;
  if (one.replica != 0) return;  // the others decide alike
  const std::lock_guard lock{mutex_};
  const auto why = one.why == tensair::Why::command ? "classes" : tensair::to_string(one.why);
  if (one.deed == Deed::drift) drifts_.push_back({one.example, "loss"});
  if (one.deed == Deed::train || one.deed == Deed::rest) {
    training_ = one.deed == Deed::train;
    switches_.push_back({one.example, training_, std::string{why}});
  }
  print(fmt::format("tweet {}  {}: {}", one.example, to_string(one.deed), why));
}

void Report::trained_on(std::uint64_t tweets) {
  const std::lock_guard lock{mutex_};
  trained_on_ = tweets;
}

auto Report::rate() const -> double {
  const double seconds = first_ ? std::chrono::duration<double>(last_ - *first_).count() : 0;
  return seconds > 0 ? static_cast<double>(tweets_ - first_tweets_) / seconds : 0;
}

auto Report::state() const -> std::string {
  const auto done = settings_.total > 0 ? fmt::format("{}/{}", tweets_, settings_.total) : fmt::format("{}", tweets_);
  auto text = fmt::format("{} tweets  {:.0f}/s", done, rate());
  if (measured_ > 0) {
    text += fmt::format("  accuracy {:.1f} %  last {} {:.1f} %  kappa {:.2f}", 100 * accuracy_,
                        std::min(measured_, window), 100 * recent_, std::isnan(kappa_) ? 0 : kappa_);
  }
  return text +
         fmt::format("  {}: {} drifts  {}", settings_.detector, drifts_.size(), training_ ? "training" : "resting");
}

void Report::show() {
  if (settings_.quiet) return;
  if (!terminal_) {
    if (measured_ % line_every == 0) print(state());
    return;
  }
  const auto now = Clock::now();
  if (now - shown_ < show_every) return;
  shown_ = now;
  fmt::print(stderr, "\r{}\x1b[K", state());
  std::fflush(stderr);
  line_is_open_ = true;
}

void Report::print(const std::string& line) {
  if (settings_.quiet) return;
  if (std::exchange(line_is_open_, false)) fmt::print(stderr, "\r\x1b[K");
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void Report::end() {
  const std::lock_guard lock{mutex_};
  if (tweets_ == 0) return;
  print(fmt::format("{}  {} labels", state(), trained_on_));
  if (!settings_.plot.empty()) draw();
}

void Report::draw() const {
  Plot plot{.end = tweets_, .accuracy = accuracies_, .changes = places(settings_.injection, tweets_)};
  for (const auto& one : drifts_) plot.drifts.push_back(one.index);
  std::uint64_t since = 0;
  bool training = settings_.training;
  for (const auto& one : switches_) {
    if (one.training == training) continue;
    if (training) plot.training.emplace_back(since, one.index);
    since = one.index;
    training = one.training;
  }
  if (training) plot.training.emplace_back(since, tweets_);
  auto out = std::ofstream{settings_.plot};
  out << svg_of(plot);
  if (!out.flush()) throw tensair::Error("the plot cannot be written", settings_.plot.string(), "Check the folder.");
}

void Report::add_to(tensair::Pipeline& pipeline) {
  pipeline.figure("tweets", [this] { return fmt::format("{}", tweets_); });
  pipeline.figure("prequential_accuracy", [this] { return number(accuracy_); });
  pipeline.figure("accuracy_of_the_last", [this] { return number(recent_); });
  pipeline.figure("kappa", [this] { return number(kappa_); });
  pipeline.figure("labels_used", [this] { return fmt::format("{}", trained_on_); });
  pipeline.figure("tweets_per_s", [this] { return fmt::format("{:.0f}", rate()); });
  pipeline.figure("drifts", [this] {
    std::vector<std::string> all;
    for (const auto& one : drifts_) all.push_back(fmt::format(R"({{"index":{},"of":"{}"}})", one.index, one.what));
    return fmt::format("[{}]", fmt::join(all, ","));
  });
  pipeline.figure("switches", [this] {
    std::vector<std::string> all;
    for (const auto& one : switches_) {
      all.push_back(fmt::format(R"({{"index":{},"training":{},"why":"{}"}})", one.index, one.training, one.why));
    }
    return fmt::format("[{}]", fmt::join(all, ","));
  });
  pipeline.figure("right", [this] {
    std::vector<std::string> all;
    for (const auto& [at, count] : right_) all.push_back(fmt::format("[{},{}]", at, count));
    return fmt::format("[{}]", fmt::join(all, ","));
  });
  pipeline.figure("accuracies", [this] {
    std::vector<std::string> all;
    for (const auto& [at, value] : accuracies_) all.push_back(fmt::format("[{},{:.4f}]", at, value));
    return fmt::format("[{}]", fmt::join(all, ","));
  });
}

}  // namespace sentiment
