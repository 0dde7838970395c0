#pragma once

#include <utility>
#include <vector>

#include "catch.hpp"
#include "support/streams.hpp"

namespace tensair::test {

/// What node 0 collects of `compose(pipeline, instances)`, sorted, must be `expected` everywhere.
template <class T, class Compose>
void check_everywhere(std::vector<T> expected, Compose compose) {
  expected = sorted(std::move(expected));
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      const auto all =
          result_of<T>(topology, [&](Pipeline& pipeline) { return compose(pipeline, parallel).collect(); });
      CHECK((sorted(all) == expected));
    }
  }
}

}  // namespace tensair::test
