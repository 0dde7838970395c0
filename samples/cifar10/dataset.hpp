#pragma once

#include "image.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace cifar10 {

struct Dataset {
  std::vector<Image> train;
  std::vector<Image> test;
};

/// Reads CIFAR-10's official binary files from `directory`: every `data_batch_*.bin`, in order of name, trains;
/// `test_batch.bin` tests. Other files are ignored.
///
/// @throws tensair::Error  when the directory or a file is missing or unreadable, a file is not a whole number of
///                         3,073-byte records, or a label is over 9; names the file, the place in it and what to do
auto read(const std::filesystem::path& directory) -> Dataset;

/// Draws ten classes of shapes and textures with random position, size, rotation, colours, contrast and noise.
///
/// Depends on `seed` alone, to the bit, on every platform; a longer data set begins with the shorter one. Image i is of
/// class i % 10: shuffle before training. A linear classifier stays under 60 %, the sample's network passes 90 % after
/// a few epochs.
auto generate(std::uint64_t seed, std::size_t train, std::size_t test) -> Dataset;

/// The order in which an epoch visits `n` images: a permutation of 0 … n - 1, the same on every node and platform.
auto order(std::size_t n, std::uint64_t seed, std::size_t epoch) -> std::vector<std::uint32_t>;

}  // namespace cifar10
