#include "model/parts_optimizer.hpp"

#include <fmt/format.h>

#include <tensair/error.hpp>

namespace tensair {
namespace {

class PartsOptimizer final : public Optimizer {
 public:
  explicit PartsOptimizer(const std::vector<OptimizerPart>& parts) {
    for (const auto& part : parts) {
      parts_.push_back({part.size, part.optimizer(part.size), part.rate, part.scheduled});
      if (part.rate != 1) parts_.back().optimizer->scale_rate(part.rate);
    }
  }

  void step(std::span<float> parameters, std::span<const float> gradient) override {
    for_each_part([&](Optimizer& optimizer, std::size_t from, std::size_t size) {
      optimizer.step(parameters.subspan(from, size), gradient.subspan(from, size));
    });
  }
  void tracked_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> change) override {
    for_each_part([&](Optimizer& optimizer, std::size_t from, std::size_t size) {
      optimizer.tracked_step(parameters.subspan(from, size), gradient.subspan(from, size), change.subspan(from, size));
    });
  }
  void scale_rate(double factor) override {
    for (auto& part : parts_) {
      if (part.scheduled) part.optimizer->scale_rate(factor * part.rate);
    }
  }

  auto state() const -> OptimizerState override {
    OptimizerState all;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      auto state = parts_[i].optimizer->state();
      for (auto& [name, values] : state.values) all.values[prefix(i) + name] = std::move(values);
      for (auto& [name, number] : state.numbers) all.numbers[prefix(i) + name] = number;
      all.numbers[prefix(i) + "other bytes"] = static_cast<double>(state.other.size());
      all.other += state.other;
    }
    return all;
  }

  void restore(const OptimizerState& all) override {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      OptimizerState state;
      const auto own = [&](const std::string& name) { return name.starts_with(prefix(i)); };
      for (const auto& [name, values] : all.values) {
        if (own(name)) state.values[name.substr(prefix(i).size())] = values;
      }
      for (const auto& [name, number] : all.numbers) {
        if (own(name)) state.numbers[name.substr(prefix(i).size())] = number;
      }
      const auto size = state.numbers.extract("other bytes");
      if (size.empty() || bytes + static_cast<std::size_t>(size.mapped()) > all.other.size()) {
        throw Error(fmt::format("an optimiser's state has nothing for parameter group {}", i), "optimiser",
                    "It belongs to a model with other groups.");
      }
      state.other = all.other.substr(bytes, static_cast<std::size_t>(size.mapped()));
      bytes += state.other.size();
      parts_[i].optimizer->restore(state);
    }
  }

 private:
  struct Part {
    std::size_t size;
    std::unique_ptr<Optimizer> optimizer;
    double rate;
    bool scheduled;
  };

  static auto prefix(std::size_t part) -> std::string { return fmt::format("{}.", part); }

  template <class Body>
  void for_each_part(Body body) {
    std::size_t from = 0;
    for (auto& part : parts_) {
      body(*part.optimizer, from, part.size);
      from += part.size;
    }
  }

  std::vector<Part> parts_;
};

}  // namespace

auto optimizer_of_parts(const std::vector<OptimizerPart>& parts) -> std::unique_ptr<Optimizer> {
  if (parts.size() == 1 && parts.front().rate == 1) return parts.front().optimizer(parts.front().size);
  return std::make_unique<PartsOptimizer>(parts);
}

}  // namespace tensair
