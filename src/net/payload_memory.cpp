#include <sys/mman.h>

#include <array>
#include <bit>
#include <mutex>
#include <new>
#include <tensair/net/payload_memory.hpp>
#include <utility>

namespace tensair::net {
namespace {

constexpr std::align_val_t huge_page{std::size_t{2} << 20U};

struct Block {
  void* memory = nullptr;
  std::size_t bytes = 0;
};

// Deltas of a sparse model are of any size. What is not touched of a block is not there.
auto size_class(std::size_t bytes) -> std::size_t {
  return std::bit_ceil(bytes);
}

// Two: one is received while the one before it is read.
struct Spare {
  std::mutex mutex;
  std::array<Block, 2> blocks;  // the last one first
};

auto spare() -> Spare& {
  static Spare all;
  return all;
}

}  // namespace

auto allocate_large_payload(std::size_t bytes) -> void* {
  bytes = size_class(bytes);
  {
    const std::lock_guard lock{spare().mutex};
    for (auto& block : spare().blocks) {
      if (block.bytes == bytes) return std::exchange(block, {}).memory;
    }
  }
  void* memory = ::operator new(bytes, huge_page);
#ifdef MADV_HUGEPAGE
  ::madvise(memory, bytes, MADV_HUGEPAGE);  // if it will not, it is only slower
#endif
  return memory;
}

void free_large_payload(void* memory, std::size_t bytes) noexcept {
  Block gone{memory, size_class(bytes)};
  {
    const std::lock_guard lock{spare().mutex};
    for (auto& block : spare().blocks) {
      std::swap(block, gone);
      if (gone.memory == nullptr) return;
    }
  }
  ::operator delete(gone.memory, huge_page);
}

void release_spare_payloads() noexcept {
  std::array<Block, 2> blocks;
  {
    const std::lock_guard lock{spare().mutex};
    std::swap(blocks, spare().blocks);
  }
  for (const auto& block : blocks) ::operator delete(block.memory, huge_page);
}

}  // namespace tensair::net
