#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <tensair/error.hpp>
#include <tensair/model/optimizer.hpp>
#include <utility>
#include <vector>

namespace tensair {

/// What an optimiser remembers, where it lies: in vectors, or in tensors on a device.
template <class Values>
struct OptimizerFields {
  std::vector<std::pair<const char*, Values*>> values;
  std::vector<std::pair<const char*, double*>> numbers;
};

/// @param read  a field's values, as floats in main memory
template <class Values, class Read>
auto state_of(const OptimizerFields<Values>& fields, Read read) -> OptimizerState {
  OptimizerState state;
  for (const auto& [name, values] : fields.values) state.values[name] = read(*values);
  for (const auto& [name, number] : fields.numbers) state.numbers[name] = *number;
  return state;
}

/// @param size   how many values a field has
/// @param write  gives a field its values
/// @throws Error  names what is missing or of another size; then nothing is restored
template <class Values, class Size, class Write>
void restore(const OptimizerFields<Values>& fields, const OptimizerState& state, Size size, Write write) {
  const auto refuse = [](const std::string& what) {
    throw Error("an optimiser's state has " + what, "optimiser", "It belongs to another optimiser or model.");
  };
  for (const auto& [name, values] : fields.values) {
    const auto found = state.values.find(name);
    if (found == state.values.end()) refuse(fmt::format("no «{}»", name));
    if (const std::size_t wanted = size(*values); found->second.size() != wanted)
      refuse(fmt::format("{} values of «{}» for {} parameters", found->second.size(), name, wanted));
  }
  for (const auto& [name, number] : fields.numbers) {
    if (!state.numbers.contains(name)) refuse(fmt::format("no «{}»", name));
  }
  // All there: nothing is left half restored.
  for (const auto& [name, values] : fields.values) write(*values, state.values.at(name));
  for (const auto& [name, number] : fields.numbers) *number = state.numbers.at(name);
}

}  // namespace tensair
