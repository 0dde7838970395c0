#include <fmt/format.h>

#include <tensair/error.hpp>
#include <tensair/operators/interval_join.hpp>

namespace tensair::operators {

auto checked(JoinInterval interval) -> JoinInterval {
  if (interval.lower > interval.upper) {
    throw UsageError(fmt::format("between({} µs, {} µs)", interval.lower.count(), interval.upper.count()), "after join",
                     "Give the lower bound first: nothing lies in this interval.");
  }
  return interval;
}

auto describe(JoinInterval interval) -> std::string {
  return fmt::format("from {} to {} µs", interval.lower.count(), interval.upper.count());
}

auto count_late(runtime::Node& node, const plan::Operator& op) -> std::shared_ptr<runtime::Counter> {
  return node.counter(op.title() + ", late records");
}

}  // namespace tensair::operators
