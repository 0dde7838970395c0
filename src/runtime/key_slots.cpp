#include <fmt/format.h>

#include <tensair/error.hpp>
#include <tensair/runtime/key_slots.hpp>

namespace tensair::runtime {
namespace {

// Mixes well enough that neighbours' numbers say nothing of each other (the finalizer of splitmix64: Steele, Lea and
// Flood, OOPSLA 2014).
auto mixed(std::uint64_t x) -> std::uint64_t {
  x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9U;
  x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11ebU;
  return x ^ (x >> 31);
}

}  // namespace

KeySlots::KeySlots(const Sites& receivers) : slots_(std::size_t{1} << bits) {
  if (receivers.total() > 1 << 16) {
    throw UsageError(fmt::format("keys are to be kept by {} instances; the limit is {}", receivers.total(), 1 << 16),
                     {}, "Give .parallel(n) a smaller n.");
  }
  std::vector<std::uint64_t> names;  // of the receivers, whatever other nodes there are
  for (net::Rank rank = 0; rank < receivers.nodes(); ++rank) {
    for (int i = 0; i < receivers.on(rank); ++i)
      names.push_back(mixed(static_cast<std::uint64_t>(rank) << 32 | static_cast<std::uint64_t>(i + 1)));
  }
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    std::uint64_t highest = 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto drawn = mixed(names[i] + slot * 0x9e37'79b9'7f4a'7c15U);
      if (i == 0 || drawn > highest) {
        highest = drawn;
        slots_[slot] = static_cast<std::uint16_t>(i);
      }
    }
  }
}

}  // namespace tensair::runtime
