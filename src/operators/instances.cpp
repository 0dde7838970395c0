#include <tensair/operators/instances.hpp>

namespace tensair::operators {

auto not_copyable(const std::string& what) -> UsageError {
  return UsageError("parallel instances are copies, and what a lambda has captured cannot be copied",
                    what + " or an operator behind it",
                    "Capture a std::shared_ptr instead, or leave out .parallel(n).");
}

}  // namespace tensair::operators
