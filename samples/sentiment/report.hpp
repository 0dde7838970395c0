#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <tensair/metrics/measurement.hpp>
#include <tensair/model/adaptation.hpp>
#include <tensair/pipeline.hpp>
#include <vector>

#include "inject.hpp"

namespace sentiment {

/// How often accuracy is looked at, and over how many tweets.
constexpr std::uint64_t measured_every = 250, window = 1'000;

/// How a run goes, as the sample tells it: a line that stays on a terminal, or lines; figures for `--json`; a plot. Its
/// functions may be called by several threads.
class Report {
 public:
  struct Settings {
    std::string detector;     ///< its name
    std::uint64_t total = 0;  ///< tweets that are expected; 0: unknown
    bool training = true;     ///< whether the model trains to begin with
    bool quiet = false;
    Injection injection{};
    std::filesystem::path plot{};  ///< empty: none
  };

  /// Before anything flows.
  void begin(Settings settings);

  void seen(std::uint64_t tweets);
  void measured(const tensair::Measurement& one);
  /// @param index  in tweets; `what`: has changed, "loss" or "classes"
  void drifted(std::uint64_t index, const char* what);
  void decided(const tensair::Decision& one);
  void trained_on(std::uint64_t tweets);

  /// Says how it was and draws the plot.
  /// @throws tensair::Error  the plot cannot be written
  void end();

  void add_to(tensair::Pipeline& pipeline);

 private:
  struct Found {
    std::uint64_t index;
    const char* what;
  };
  struct Switch {
    std::uint64_t index;
    bool training;
    std::string why;
  };
  using Clock = std::chrono::steady_clock;

  void show();
  void print(const std::string& line);
  auto state() const -> std::string;
  auto rate() const -> double;
  void draw() const;

  mutable std::mutex mutex_;
  Settings settings_;
  bool terminal_ = false, line_is_open_ = false, training_ = true;
  std::uint64_t tweets_ = 0, first_tweets_ = 0, trained_on_ = 0;
  std::optional<Clock::time_point> first_;
  Clock::time_point last_{}, shown_{};
  static constexpr double none = std::numeric_limits<double>::quiet_NaN();
  double accuracy_ = none, kappa_ = none, recent_ = none;  // none while no label has come
  std::uint64_t measured_ = 0;
  std::vector<std::pair<std::uint64_t, double>> accuracies_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> right_;
  std::vector<Found> drifts_;
  std::vector<Switch> switches_;
};

}  // namespace sentiment
