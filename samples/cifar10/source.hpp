#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dataset.hpp"

namespace cifar10 {

/// The images, shuffled anew for each epoch: every node knows the same order and reads every n-th of it, so together
/// they read each image once an epoch.
class ShuffledImages {
 public:
  using value_type = Image;

  ShuffledImages(std::shared_ptr<const std::vector<Image>> images, std::uint64_t seed, int epochs)
      : images_(std::move(images)), seed_(seed), epochs_(static_cast<std::size_t>(epochs)) {}

  void split(int part, int parts) {
    next_ = static_cast<std::size_t>(part);
    stride_ = static_cast<std::size_t>(parts);
  }

  auto next() -> std::optional<Image> {
    const auto epoch = next_ / images_->size();
    if (epoch >= epochs_) return std::nullopt;
    if (order_.empty() || epoch != epoch_) {
      order_ = order(images_->size(), seed_, epoch);
      epoch_ = epoch;
    }
    const auto index = order_[next_ % images_->size()];
    next_ += stride_;
    return (*images_)[index];
  }

 private:
  std::shared_ptr<const std::vector<Image>> images_;
  std::uint64_t seed_;
  std::size_t epochs_, epoch_ = 0;
  std::size_t next_ = 0, stride_ = 1;
  std::vector<std::uint32_t> order_;
};

}  // namespace cifar10
