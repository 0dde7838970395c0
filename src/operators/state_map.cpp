#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <tensair/error.hpp>
#include <tensair/operators/state_map.hpp>

namespace tensair::operators {
namespace {

// From the size of a huge page on, memory comes from the system directly: it is zero without being touched.
constexpr std::size_t huge_page = std::size_t{2} << 20;
// Entries of a line's size then lie in one line each.
constexpr std::align_val_t line{64};

}  // namespace

auto allocate_table(std::size_t bytes) -> void* {
  if (bytes < huge_page) {
    void* memory = ::operator new(bytes, line);
    std::memset(memory, 0, bytes);
    return memory;
  }
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc{};
  ::madvise(memory, bytes, MADV_HUGEPAGE);  // where there are none, ordinary pages do
  return memory;
}

void free_table(void* memory, std::size_t bytes) noexcept {
  if (bytes < huge_page) {
    ::operator delete(memory, line);
  } else {
    ::munmap(memory, bytes);
  }
}

void throw_too_many_keys() {
  throw Error("an operator's instance has more than 1.4 billion keys", {},
              "Share them out among more instances with .parallel(n) or more nodes, or let old ones go with "
              ".time_to_live(d).");
}

}  // namespace tensair::operators
