#pragma once

#include <tensair/error.hpp>
#include <tensair/net/codec.hpp>
#include <tensair/operators/owned.hpp>
#include <tensair/operators/stage.hpp>

namespace tensair::operators {

/// @throws UsageError  the pipeline has several nodes, and records of this type cannot travel
template <class T>
void check_may_leave_node(const runtime::Node& node) {
  if constexpr (!net::Encodable<Owned<T>>) {
    if (node.count() > 1) {
      throw UsageError("records of " + stream_type<T>() + " cannot be sent to another node", {},
                       "Give the type a member template serialize(archive, version) { archive & a & b; }.");
    }
  }
}

}  // namespace tensair::operators
