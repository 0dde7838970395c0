#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <tensair/drift/detector.hpp>
#include <utility>
#include <vector>

// What other systems' detectors said about a stream, and what ours say.

namespace tensair::test {

/// Where signals came: how many values the detector had been given.
struct Signals {
  std::vector<std::uint64_t> drifts, warnings;
  friend auto operator==(const Signals&, const Signals&) -> bool = default;
};

/// Streams and what detectors said about each, by scenario and run ("abrupt_binary 1").
struct Golden {
  std::map<std::string, std::vector<double>> streams;
  std::map<std::string, std::map<std::string, Signals>> said;  ///< by stream, then by detector
};

/// Reads `streams.tsv` and `detections.tsv` of a folder; empty if there are none.
auto read_golden(const std::filesystem::path& folder) -> Golden;

/// Of places where there is a warning, those where it begins: the place before has none.
auto beginnings(const std::vector<std::uint64_t>& warnings) -> std::vector<std::uint64_t>;

/// Where a detector signals drift, and where it warns.
template <drift::Detector D>
auto signals_of(D detector, const std::vector<double>& values) -> Signals {
  Signals signals;
  std::uint64_t index = 0;
  for (const double value : values) {
    ++index;
    const auto level = detector.update(value);
    if (level == DriftLevel::drift) signals.drifts.push_back(index);
    if (level == DriftLevel::warning) signals.warnings.push_back(index);
  }
  return signals;
}

}  // namespace tensair::test
