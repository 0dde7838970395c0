#include "model/parts_optimizer.hpp"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tensair/error.hpp>
#include <utility>

namespace tensair {
namespace {

/// Parts that are optimised apart; in main memory, or on a device.
template <class Of>
class Parts {
 public:
  void add(std::size_t size, std::unique_ptr<Of> optimizer, double rate, bool scheduled) {
    if (rate != 1) optimizer->scale_rate(rate);
    parts_.push_back({size, std::move(optimizer), rate, scheduled});
  }

  template <class Body>
  void for_each(Body body) const {
    std::size_t from = 0;
    for (const auto& part : parts_) {
      body(*part.optimizer, from, part.size);
      from += part.size;
    }
  }

  void scale_rate(double factor) {
    for (auto& part : parts_) {
      if (part.scheduled) part.optimizer->scale_rate(factor * part.rate);
    }
  }

  auto state() const -> OptimizerState {
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

  void restore(const OptimizerState& all) {
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

  /// The same parts, each with what `convert` makes of its optimiser; nothing if that is null for one.
  template <class To, class Convert>
  auto converted(Convert convert) const -> std::optional<Parts<To>> {
    Parts<To> all;
    for (const auto& part : parts_) {
      std::unique_ptr<To> optimizer = convert(*part.optimizer);
      if (!optimizer) return std::nullopt;
      all.add(part.size, std::move(optimizer), part.rate, part.scheduled);
    }
    return all;
  }

 private:
  struct Part {
    std::size_t size;
    std::unique_ptr<Of> optimizer;
    double rate;
    bool scheduled;
  };

  static auto prefix(std::size_t part) -> std::string { return fmt::format("{}.", part); }

  std::vector<Part> parts_;
};

class PartsTensorOptimizer final : public TensorOptimizer {
 public:
  explicit PartsTensorOptimizer(Parts<TensorOptimizer> parts) : parts_(std::move(parts)) {}

  void step(at::Tensor& parameters, const at::Tensor& gradient) override {
    parts_.for_each([&](TensorOptimizer& optimizer, std::size_t from, std::size_t size) {
      const auto begin = static_cast<std::int64_t>(from), count = static_cast<std::int64_t>(size);
      auto part = parameters.narrow(0, begin, count);
      optimizer.step(part, gradient.narrow(0, begin, count));
    });
  }
  void scale_rate(double factor) override { parts_.scale_rate(factor); }
  auto state() const -> OptimizerState override { return parts_.state(); }
  void restore(const OptimizerState& all) override { parts_.restore(all); }

 private:
  Parts<TensorOptimizer> parts_;
};

class PartsOptimizer final : public Optimizer {
 public:
  explicit PartsOptimizer(const std::vector<OptimizerPart>& parts) {
    for (const auto& part : parts) parts_.add(part.size, part.optimizer(part.size), part.rate, part.scheduled);
  }

  void step(std::span<float> parameters, std::span<const float> gradient) override {
    parts_.for_each([&](Optimizer& optimizer, std::size_t from, std::size_t size) {
      optimizer.step(parameters.subspan(from, size), gradient.subspan(from, size));
    });
  }
  void tracked_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> change) override {
    parts_.for_each([&](Optimizer& optimizer, std::size_t from, std::size_t size) {
      optimizer.tracked_step(parameters.subspan(from, size), gradient.subspan(from, size), change.subspan(from, size));
    });
  }
  auto steps_lazily() const -> bool override {
    bool all = true;
    parts_.for_each([&](const Optimizer& optimizer, std::size_t, std::size_t) { all &= optimizer.steps_lazily(); });
    return all;
  }
  void lazy_step(std::span<float> parameters, std::span<const Segment> segments, std::span<const float> gradient,
                 std::span<float> change) override {
    std::vector<Segment> own;
    std::size_t next = 0, taken = 0;  // a segment, and what a part before has had of it
    parts_.for_each([&](Optimizer& optimizer, std::size_t from, std::size_t size) {
      std::size_t values = 0;
      own.clear();
      while (next < segments.size() && segments[next].first + taken < from + size) {
        const auto& segment = segments[next];
        const std::size_t first = segment.first + taken, count = std::min(segment.end(), from + size) - first;
        own.push_back({static_cast<std::uint32_t>(first - from), static_cast<std::uint32_t>(count)});
        values += count;
        taken += count;
        if (taken < segment.count) break;
        ++next;
        taken = 0;
      }
      const auto noted = change.first(change.empty() ? 0 : values);
      optimizer.lazy_step(parameters.subspan(from, size), own, gradient.first(values), noted);
      gradient = gradient.subspan(values);
      change = change.subspan(noted.size());
    });
  }
  void scale_rate(double factor) override { parts_.scale_rate(factor); }
  auto state() const -> OptimizerState override { return parts_.state(); }
  void restore(const OptimizerState& all) override { parts_.restore(all); }
  auto on(const c10::Device& device) const -> std::unique_ptr<TensorOptimizer> override {
    auto parts = parts_.converted<TensorOptimizer>([&](const Optimizer& one) { return one.on(device); });
    if (!parts) return nullptr;
    return std::make_unique<PartsTensorOptimizer>(*std::move(parts));
  }

 private:
  Parts<Optimizer> parts_;
};

}  // namespace

auto optimizer_of_parts(const std::vector<OptimizerPart>& parts) -> std::unique_ptr<Optimizer> {
  if (parts.size() == 1 && parts.front().rate == 1) return parts.front().optimizer(parts.front().size);
  return std::make_unique<PartsOptimizer>(parts);
}

}  // namespace tensair
