#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "dataset.hpp"

namespace cifar10 {

/// The images, shuffled anew for each epoch: every node knows the same order and reads every n-th of it, so together
/// they read each image once an epoch.
///
/// With `swap_every` the stream drifts: after so many images, and again after so many more, two labels change places
/// for good: 0 and 1, then 1 and 2, and so on.
class ShuffledImages {
 public:
  using value_type = Image;

  ShuffledImages(std::shared_ptr<const std::vector<Image>> images, std::uint64_t seed, int epochs,
                 std::size_t swap_every = 0)
      : images_(std::move(images)), seed_(seed), epochs_(static_cast<std::size_t>(epochs)), swap_every_(swap_every) {
    std::iota(labels_.begin(), labels_.end(), std::uint8_t{0});
  }

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
    for (; swap_every_ > 0 && swaps_ < next_ / swap_every_; ++swaps_)
      std::swap(labels_[swaps_ % labels_.size()], labels_[(swaps_ + 1) % labels_.size()]);
    auto image = (*images_)[order_[next_ % images_->size()]];
    image.label = labels_[image.label];
    next_ += stride_;
    return image;
  }

 private:
  std::shared_ptr<const std::vector<Image>> images_;
  std::uint64_t seed_;
  std::size_t epochs_, epoch_ = 0;
  std::size_t next_ = 0, stride_ = 1;
  std::vector<std::uint32_t> order_;
  std::size_t swap_every_, swaps_ = 0;
  std::array<std::uint8_t, 10> labels_{};  // what each class is called by now
};

}  // namespace cifar10
