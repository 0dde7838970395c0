#include <tensair/operators/label_join.hpp>

namespace tensair::operators {

auto count_unmatched(runtime::Node& node, const plan::Operator& op) -> LabelCounters {
  return {node.counter(op.title() + ", records without a label"),
          node.counter(op.title() + ", labels without a record")};
}

}  // namespace tensair::operators
