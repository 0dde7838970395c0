#include <fmt/format.h>

#include <tensair/error.hpp>
#include <tensair/operators/assign_timestamps.hpp>

namespace tensair::operators {

void check_ahead(std::chrono::microseconds bound, std::size_t records) {
  if (bound < std::chrono::microseconds{0}) {
    throw UsageError(fmt::format("a bound of {} us is negative", bound.count()), "at_most_ahead");
  }
  if (records < 2) {
    throw UsageError(fmt::format("times far ahead cannot be believed after {} of them", records), "at_most_ahead",
                     "It takes 2 at least: one alone may be broken.");
  }
}

auto count_ahead(runtime::Node& node, const plan::Operator& op) -> std::shared_ptr<runtime::Counter> {
  return node.counter(op.title() + ", timestamps too far ahead");
}

}  // namespace tensair::operators
