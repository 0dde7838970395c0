#pragma once

#include <ATen/core/ivalue.h>

#include <filesystem>
#include <tensair/model/network.hpp>
#include <vector>

// The archive that Python's torch.save writes, with a checksum that torch.load passes over.

namespace tensair {

/// Clones, because a view would be written with all of the buffer that it is a view of.
auto dictionary_of(const NamedTensors& tensors) -> c10::Dict<std::string, at::Tensor>;

/// The archive of a dictionary of whatever TorchScript can pickle.
auto archive_of(const c10::IValue& dictionary) -> std::vector<char>;

/// What an archive holds.
/// @throws Error  the file cannot be read, is no such archive, or is damaged: what is in it does not fit its checksum.
///                Archives that Python wrote have none
auto read_archive(const std::filesystem::path& file) -> c10::IValue;

}  // namespace tensair
