#include <fmt/format.h>

#include <algorithm>
#include <tensair/error.hpp>
#include <tensair/model/outputs.hpp>

namespace tensair {

Outputs::Outputs(std::vector<at::Tensor> outputs) {
  if (outputs.empty()) return;
  first_ = std::move(outputs.front());
  more_.assign(std::make_move_iterator(outputs.begin() + 1), std::make_move_iterator(outputs.end()));
}

Outputs::Outputs(const std::map<std::string, at::Tensor>& outputs) {
  for (const auto& [name, output] : outputs) {
    names_.push_back(name);
    add(output);
  }
}

auto Outputs::in_main_memory() const -> Outputs {
  auto here = *this;
  if (here.first_.defined()) here.first_ = first_.cpu();
  for (auto& output : here.more_) output = output.cpu();
  return here;
}

auto Outputs::operator[](std::size_t number) const -> const at::Tensor& {
  if (number < size()) return number == 0 ? first_ : more_[number - 1];
  throw Error(fmt::format("a forward has no output {}", number), "model",
              fmt::format("It returns {}, counted from 0.", size()));
}

auto Outputs::operator[](std::string_view name) const -> const at::Tensor& {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found != names_.end()) return (*this)[static_cast<std::size_t>(found - names_.begin())];
  throw Error(fmt::format("a forward has no output «{}»", name), "model",
              names_.empty() ? "Its outputs have no names: return a map by name."
                             : fmt::format("It returns {}.", fmt::join(names_, ", ")));
}

}  // namespace tensair
