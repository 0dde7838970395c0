#include <tensair/error.hpp>
#include <tensair/operators/record_lists.hpp>

namespace tensair::operators {

void throw_too_many_records() {
  throw Error("an instance of a join keeps more than four billion records of one side", {},
              "Share them out among more instances with .parallel(n) or more nodes, or keep them for less time.");
}

}  // namespace tensair::operators
