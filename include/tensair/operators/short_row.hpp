#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace tensair::operators {

/// A row of values of which mostly there is one: that one lies inside, more have memory of their own, and keep it.
/// Smaller than a small_vector, because many of them lie side by side, and each line of memory counts.
template <class T>
class ShortRow {
 public:
  ShortRow() = default;
  ShortRow(ShortRow&& other) noexcept : size_(std::exchange(other.size_, 0)) {
    if (other.more_ != nullptr) {
      more_ = std::exchange(other.more_, nullptr);
      room_ = std::exchange(other.room_, 1);
    } else if (size_ == 1) {
      std::construct_at(inside(), std::move(*other.inside()));
      std::destroy_at(other.inside());
    }
  }
  auto operator=(ShortRow&&) -> ShortRow& = delete;
  ~ShortRow() {
    std::destroy(begin(), end());
    if (more_ != nullptr) std::allocator<T>{}.deallocate(more_, room_);
  }

  auto begin() -> T* { return more_ != nullptr ? more_ : inside(); }
  auto end() -> T* { return begin() + size_; }
  auto begin() const -> const T* { return more_ != nullptr ? more_ : inside(); }
  auto end() const -> const T* { return begin() + size_; }
  auto size() const -> std::size_t { return size_; }
  auto empty() const -> bool { return size_ == 0; }

  /// Puts a value in front of the one at `at`; returns where it is.
  auto insert(T* at, T value) -> T* {
    const auto place = static_cast<std::size_t>(at - begin());
    if (size_ == room_) grow();
    T* const row = begin();
    if (place == size_) {
      std::construct_at(row + size_, std::move(value));
    } else {
      std::construct_at(row + size_, std::move(row[size_ - 1]));
      std::move_backward(row + place, row + size_ - 1, row + size_);
      row[place] = std::move(value);
    }
    ++size_;
    return row + place;
  }

  /// Takes the values from `at` on, up to `last`, out.
  void erase(T* at, T* last) {
    if (at == last) return;
    T* const left = std::move(last, end(), at);
    std::destroy(left, end());
    size_ = static_cast<std::uint32_t>(left - begin());
  }
  void erase(T* at) { erase(at, at + 1); }

 private:
  auto inside() -> T* { return std::launder(reinterpret_cast<T*>(inside_)); }
  auto inside() const -> const T* { return std::launder(reinterpret_cast<const T*>(inside_)); }

  [[gnu::noinline]] void grow() {
    const std::uint32_t room = room_ * 2;
    T* const more = std::allocator<T>{}.allocate(room);
    std::uninitialized_move(begin(), end(), more);
    std::destroy(begin(), end());
    if (more_ != nullptr) std::allocator<T>{}.deallocate(more_, room_);
    more_ = more;
    room_ = room;
  }

  T* more_ = nullptr;
  std::uint32_t size_ = 0, room_ = 1;
  alignas(T) std::byte inside_[sizeof(T)];
};

}  // namespace tensair::operators
