#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace tensair {

/// What a model's forward returns: one tensor, or several, which may have names. Made of a tensor, a vector of them, a
/// map by name, or a tuple or pair (of tuples) of them, whose tensors are counted from the left.
class Outputs {
 public:
  Outputs() = default;
  Outputs(at::Tensor output) : first_(std::move(output)) {}
  Outputs(std::vector<at::Tensor> outputs);
  /// In the order of their names.
  Outputs(const std::map<std::string, at::Tensor>& outputs);
  template <class... Parts>
  Outputs(const std::tuple<Parts...>& parts) {
    add(parts);
  }
  template <class A, class B>
  Outputs(const std::pair<A, B>& parts) {
    add(std::tie(parts.first, parts.second));
  }

  auto first() const -> const at::Tensor& { return first_; }
  /// All but the first.
  auto more() const -> const std::vector<at::Tensor>& { return more_; }
  /// The same in main memory.
  auto in_main_memory() const -> Outputs;
  auto size() const -> std::size_t { return first_.defined() ? 1 + more_.size() : 0; }
  /// @throws Error  there are not so many
  auto operator[](std::size_t number) const -> const at::Tensor&;
  /// @throws Error  none has that name; says which there are
  auto operator[](std::string_view name) const -> const at::Tensor&;

 private:
  void add(const at::Tensor& output) {
    if (first_.defined()) {
      more_.push_back(output);
    } else {
      first_ = output;
    }
  }
  template <class... Parts>
  void add(const std::tuple<Parts...>& parts) {
    std::apply([this](const auto&... part) { (add(part), ...); }, parts);
  }

  at::Tensor first_;
  std::vector<at::Tensor> more_;    // a lone output allocates nothing
  std::vector<std::string> names_;  // of all, or of none
};

}  // namespace tensair
