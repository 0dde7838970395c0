#include <algorithm>
#include <tensair/overlay.hpp>
#include <utility>

namespace tensair {
namespace {

// Members in the order of a walk level by level: 0 is the root, 1 to 4 its children, 5 to 7 those of 1, and so on.
constexpr auto parent_of(std::size_t place) -> std::size_t {
  return place <= Overlay::children + 1 ? 0 : (place - 2) / Overlay::children;
}

}  // namespace

Overlay::Overlay(std::vector<net::Rank> members, overlay shape) : members_(std::move(members)), shape_(shape) {
  if (shape_ == overlay::automatic) shape_ = members_.size() <= largest_mesh ? overlay::mesh : overlay::tree;
}

auto Overlay::neighbours(net::Rank member) const -> std::vector<net::Rank> {
  const auto found = std::find(members_.begin(), members_.end(), member);
  if (found == members_.end()) return {};
  std::vector<net::Rank> neighbours;
  const auto own = static_cast<std::size_t>(found - members_.begin());
  for (std::size_t place = 0; place < members_.size(); ++place) {
    if (place == own) continue;
    const bool linked = (own > 0 && parent_of(own) == place) || (place > 0 && parent_of(place) == own);
    if (shape_ == overlay::mesh || linked) neighbours.push_back(members_[place]);
  }
  return neighbours;
}

auto Overlay::without(net::Rank member) const -> Overlay {
  auto left = members_;
  std::erase(left, member);
  return {std::move(left), shape_};
}

}  // namespace tensair
