#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <tensair/model/network.hpp>
#include <tensair/model/optimizer.hpp>
#include <tensair/runtime/clock.hpp>
#include <vector>

namespace tensair {

/// When a model is written to a file while it learns, by replica 0: parameters, buffers, the optimiser's and the
/// schedule's state, the clock and, with `Automatic`, what the detector has seen and whether training is on. The file
/// before is kept beside it, as FILE.previous.
///
/// Python reads one with `torch.load(file)`: a dictionary whose "model" is what `load_state_dict` takes.
struct CheckpointOptions {
  std::filesystem::path file{};   ///< empty: none is written
  std::uint64_t every_steps = 0;  ///< after so many steps of replica 0 more; 0: not by steps
  Duration every{};               ///< after so much time; 0: not by time. In any case also when training has ended
  bool resume = false;  ///< begin with what the file has, if it is there; on several nodes every one needs it. Damaged,
                        ///< it is named to `warn`, and the one before is taken
  std::function<void(const std::string& warning)> warn{};  ///< empty: a line on standard error
};

/// What a checkpoint holds.
struct ModelCheckpoint {
  NamedTensors model;  ///< parameters and buffers, by name
  OptimizerState optimizer;
  std::vector<double> schedule;
  std::vector<std::uint64_t> clock;     ///< steps of each replica that the parameters contain
  std::vector<std::uint64_t> examples;  ///< and examples
  std::string adaptation{};             ///< of `Automatic`'s rule; empty: there is none
};

/// Writes a checkpoint by rename, with a checksum, after it has renamed the file before to FILE.previous.
void write_checkpoint(const std::filesystem::path& file, const ModelCheckpoint& checkpoint);

/// Reads one. A file of nothing but parameters, by name, is one without state and clock.
/// @throws Error  it cannot be read, is damaged (by its checksum), or is of a newer format
auto read_checkpoint(const std::filesystem::path& file) -> ModelCheckpoint;

/// A checkpoint, and what is to be told about it.
struct FoundCheckpoint {
  ModelCheckpoint checkpoint;
  std::string warning;  ///< why it is the one before; empty: it is not
};

/// Reads the file's checkpoint or, where that is damaged, the one before; nothing when there is neither.
/// @throws Error  all that is there is damaged
auto find_checkpoint(const std::filesystem::path& file) -> std::optional<FoundCheckpoint>;

}  // namespace tensair
