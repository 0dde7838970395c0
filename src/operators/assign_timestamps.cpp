#include <tensair/operators/assign_timestamps.hpp>

namespace tensair::operators {

auto count_ahead(runtime::Node& node, const plan::Operator& op) -> std::shared_ptr<runtime::Counter> {
  return node.counter(op.title() + ", timestamps too far ahead");
}

}  // namespace tensair::operators
