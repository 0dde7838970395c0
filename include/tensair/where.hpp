#pragma once

#include <string>
#include <tensair/net/message.hpp>
#include <variant>

namespace tensair {

/// The nodes that something is to run on: one by its rank, those that have a label, or if neither is said, all.
using Where = std::variant<std::monostate, net::Rank, std::string>;

}  // namespace tensair
