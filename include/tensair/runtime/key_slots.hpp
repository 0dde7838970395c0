#pragma once

#include <cstddef>
#include <cstdint>
#include <tensair/runtime/sites.hpp>
#include <vector>

namespace tensair::runtime {

/// Which instance keeps a key: a table of slots, each of which belongs to the instance that draws the highest number
/// for it (rendezvous hashing: Thaler and Ravishankar, IEEE/ACM Transactions on Networking 6, 1998).
///
/// Every node works out the same table from the same sites. One node more takes its share of the slots from all others,
/// and no slot moves between those: of N nodes of the same strength, the new one gets 1/N of the keys.
class KeySlots {
 public:
  /// @throws UsageError  more than 65,536 receivers
  explicit KeySlots(const Sites& receivers);

  /// @return the number of the receiver among all, in the order of `Sites`
  auto receiver_of(std::uint64_t hash) const -> std::size_t { return slots_[hash >> (64 - bits)]; }

 private:
  // Keys of 1,024 instances are shared out to a quarter, of 64 to a sixteenth; and the table fits a core's first cache.
  static constexpr int bits = 14;

  std::vector<std::uint16_t> slots_;
};

}  // namespace tensair::runtime
