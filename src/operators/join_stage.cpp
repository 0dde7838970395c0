#include <tensair/operators/join_stage.hpp>

namespace tensair::operators {

void throw_key_changed(const plan::Operator& op) {
  throw LambdaThrew(op.title(),
                    "a key function gave another key for a record than before: it must depend on nothing else");
}

}  // namespace tensair::operators
